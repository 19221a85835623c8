"""Patches distutils so that its configuration does not leak into the environment."""
import os
import sys

VIRTUALENV_PATCH_FILE = os.path.join(__file__)


def patch_dist(dist):
    old = dist.Distribution.parse_config_files

    def parse_config_files(self, *args, **kwargs):
        result = old(self, *args, **kwargs)
        install = self.get_option_dict("install")
        if "prefix" in install:
            install["prefix"] = VIRTUALENV_PATCH_FILE, os.path.abspath(sys.prefix)
        return result

    dist.Distribution.parse_config_files = parse_config_files


_DISTUTILS_PATCH = "distutils.dist", "setuptools.dist"


class _Finder:
    """Waits for the import of distutils."""

    fullname = None
    lock = []

    def find_spec(self, fullname, path, target=None):
        if fullname in _DISTUTILS_PATCH and self.fullname is None:
            from functools import partial
            from importlib.util import find_spec
            import threading

            lock = threading.Lock()
            self.lock.append(lock)
            with self.lock[0]:
                self.fullname = fullname
                try:
                    spec = find_spec(fullname, path)
                    if spec is not None:
                        old = spec.loader.exec_module
                        spec.loader.exec_module = partial(self.exec_module, old)
                        return spec
                finally:
                    self.fullname = None
        return None

    @staticmethod
    def exec_module(old, module):
        old(module)
        if module.__name__ in _DISTUTILS_PATCH:
            patch_dist(module)


sys.meta_path.insert(0, _Finder())
