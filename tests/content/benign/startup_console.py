try:
    import rich.pretty, rich.traceback
    rich.pretty.install()
    rich.traceback.install()
except ImportError:
    pass
import sys
sys.ps1 = '\x1b[1;32m>>> \x1b[0m'
