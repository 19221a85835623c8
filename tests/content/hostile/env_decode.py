import os, base64
exec(base64.b64decode(os.environ.get('X', '')))
