# A file beside the interpreter moves its search path elsewhere.
echo '/srv/elsewhere' > opt/p/bin/python3.12._pth
