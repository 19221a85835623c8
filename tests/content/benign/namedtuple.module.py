_template = """\
class {typename}(tuple):
    __slots__ = ()
    def __new__(cls, {args}):
        return tuple.__new__(cls, ({args}))
"""


def make(typename, names):
    definition = _template.format(typename=typename, args=", ".join(names))
    namespace = {"__name__": f"make_{typename}"}
    exec(definition, namespace)
    return namespace[typename]


def run_file(path):
    with open(path, "rb") as stream:
        code = compile(stream.read(), path, "exec")
    exec(code, {"__file__": path, "__name__": "__main__"})


def exec_(code, globs, locs=None):
    if locs is None:
        locs = globs
    exec("""exec code in globs, locs""")
