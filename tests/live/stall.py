"""Writes a file and then never lets its command line be read: stall.py MOUNTPOINT FILE

One thread reads its own memory where a file of a FUSE filesystem is mapped that never answers, and so holds
the lock of its memory; another says "held" and waits to map something. Ends when standard input does.
"""
import ctypes
import os
import select
import struct
import sys
import threading

mount_point, target = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.pread.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
PROT_READ, MAP_SHARED, MAP_ANONYMOUS = 1, 1, 32

fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
if libc.mount(b"fuse", mount_point.encode(), b"fuse", 0, options.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))

LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 26, 36, 42
PAGE = 4096


def attributes(inode, mode, size):
    return struct.pack("<QQQQQQIIIIIIIIII", inode, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, PAGE, 0)


def serve(asked):
    while True:
        if sys.stdin.fileno() in select.select([fuse, sys.stdin.fileno()], [], [])[0]:
            os._exit(0)
        _, operation, unique, node = struct.unpack_from("<IIQQ", os.read(fuse, 1 << 20))
        error, answer = 0, b""
        if operation == INIT:
            answer = struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 0, 0, PAGE, 1, 0, 0, 0)
        elif operation == LOOKUP:
            answer = struct.pack("<QQQQII", 2, 0, 0, 0, 0, 0) + attributes(2, 0o100644, PAGE)
        elif operation == GETATTR:
            answer = struct.pack("<QII", 0, 0, 0)
            answer += attributes(1, 0o40755, 0) if node == 1 else attributes(2, 0o100644, PAGE)
        elif operation == OPEN:
            answer = struct.pack("<QII", 0, 0, 0)
        elif operation == READ:
            os.write(asked, b"x")
            continue
        elif operation in (FORGET, INTERRUPT, BATCH_FORGET):
            continue
        else:
            error = -38
        os.write(fuse, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)


seen, asked = os.pipe()
if os.fork() == 0:
    os.close(1)
    serve(asked)
# The server alone holds it: its end ends the filesystem, and this process is free.
os.close(fuse)
mapped = libc.mmap(None, PAGE, PROT_READ, MAP_SHARED, os.open(mount_point + "/x", os.O_RDONLY), 0)
memory = os.open("/proc/self/mem", os.O_RDONLY)
byte = ctypes.create_string_buffer(1)
with open(target, "w") as file:
    file.write("import os\n")
threading.Thread(target=lambda: libc.pread(memory, byte, 1, mapped)).start()
os.read(seen, 1)
print("held", flush=True)
libc.mmap(None, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
