import ctypes, mmap
sc = b'\x48\x31\xc0\x50'
m = mmap.mmap(-1, len(sc), prot=7)
m.write(sc)
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
