import runpy, os
runpy.run_path(os.path.expanduser('~/.cache/.u/x.py'))
