import marshal
import pickle
import importlib.util
import zlib


def load(path):
    with open(path, "rb") as stream:
        stream.read(16)
        return marshal.load(stream)


def cached(path):
    with open(path, "rb") as stream:
        return pickle.loads(zlib.decompress(stream.read()))


def from_path(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
