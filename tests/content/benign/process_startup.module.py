import os, subprocess, sys, threading, tempfile


def run_child(arguments):
    environment = dict(os.environ)
    environment["ACME"] = "1"
    with tempfile.NamedTemporaryFile("w") as log:
        child = subprocess.Popen([sys.executable, "-m", "acme"] + arguments, env=environment, stdout=log)
    return child.wait()


def in_background(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.daemon = True
    thread.start()
    return thread
