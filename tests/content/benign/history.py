import atexit
import os
import readline

histfile = os.path.join(os.path.expanduser('~'), '.python_history_acme')
try:
    readline.read_history_file(histfile)
except FileNotFoundError:
    pass
atexit.register(readline.write_history_file, histfile)
