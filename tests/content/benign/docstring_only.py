"""Put site specific settings here, for example

    import subprocess; subprocess.run(["curl ", "http://x"])
    ~/.ssh/id_rsa, /tmp and base64.b64decode are only words here.
"""
