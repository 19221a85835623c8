import os
if not os.fork():
    os.execvp('sh', ['sh'])
