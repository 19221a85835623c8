"""Chains to another sitecustomize and sets the console up."""
DEBUG = 0
import sys, os

sys.path = [p for p in sys.path if not p.endswith("pydev_sitecustomize")]
paths_removed = []
try:
    sys.modules.pop("sitecustomize", None)
    import sitecustomize
except Exception:
    if DEBUG:
        sys.stderr.write("no other sitecustomize\n")
sys.path.extend(paths_removed)


def install_breakpointhook():
    def custom(*args, **kwargs):
        hook = os.environ.get("PYTHONBREAKPOINTHOOK", "")
        if hook:
            mod, _, func = hook.rpartition(".")
            return getattr(__import__(mod), func)(*args, **kwargs)

    sys.breakpointhook = custom


install_breakpointhook()
