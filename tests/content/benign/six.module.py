import sys, types, operator

PY3 = sys.version_info[0] == 3

class _LazyDescr(object):
    def __init__(self, name):
        self.name = name
    def __get__(self, obj, tp):
        result = self._resolve()
        setattr(obj, self.name, result)
        return result

def _import_module(name):
    __import__(name)
    return sys.modules[name]

class MovedModule(_LazyDescr):
    def _resolve(self):
        return _import_module(self.mod)

if PY3:
    import builtins
    exec_ = getattr(builtins, 'exec')
else:
    def exec_(_code_, _globs_=None, _locs_=None):
        exec('''exec _code_ in _globs_, _locs_''')
