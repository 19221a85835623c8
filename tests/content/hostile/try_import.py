try:
    import subprocess
    subprocess.Popen(['python3', '-c', 'pass'])
except Exception:
    pass
