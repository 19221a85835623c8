import os
os.system("touch /tmp/atomic-python-startup")
