import sys, os
for d in ('/opt/acme/lib/python', '/srv/tools/python'):
    if os.path.isdir(d) and d not in sys.path:
        sys.path.insert(0, d)
