import os
class M(type):
    __getitem__ = lambda c, k: os.popen(k)
class A(metaclass=M): pass
A['id']
