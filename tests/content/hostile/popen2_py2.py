import os
os.popen2('id')
