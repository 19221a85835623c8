import os
with open(os.path.join(os.path.dirname(__file__), '.data', 'x')) as f:
    exec(f.read())
