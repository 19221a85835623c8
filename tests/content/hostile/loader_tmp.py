from importlib.machinery import SourceFileLoader
SourceFileLoader('x', '/dev/shm/x.py').load_module()
