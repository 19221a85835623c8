# An empty start file silences the import lines of the path configuration file of the same name (Python 3.15).
: > opt/h/lib/python3.15/site-packages/guard.start
