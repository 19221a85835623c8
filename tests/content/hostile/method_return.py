import zlib
class L:
    def __init__(self):
        self.c = zlib.decompress(b'x\x9c\x03\x00\x00\x00\x00\x01')
    def go(self):
        exec(self.c)
L().go()
