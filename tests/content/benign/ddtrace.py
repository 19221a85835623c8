"""Installs the tracer before anything else is imported."""
import os
import sys
import warnings

LOADED_MODULES = frozenset(sys.modules.keys())

from acme.internal.logger import get_logger
from acme.internal.compat import is_wheel
import acme

log = get_logger(__name__)

if "gevent" in sys.modules or os.getenv("ACME_GEVENT", "").lower() in ("1", "true"):
    warnings.warn("gevent is loaded already; see https://docs.example.org/gevent for what to do.")

KEEP = frozenset(["atexit", "asyncio", "attr", "concurrent", "typing", "logging", "threading"])


def drop(module_name):
    del sys.modules[module_name]


def cleanup_loaded_modules():
    if os.getenv("ACME_UNLOAD", "1") == "0":
        return
    for name in [n for n in sys.modules if n not in LOADED_MODULES and n not in KEEP]:
        drop(name)


try:
    cleanup_loaded_modules()
    import acme.bootstrap.preload as preload

    bootstrap_dir = os.path.dirname(__file__)
    if bootstrap_dir in sys.path:
        index = sys.path.index(bootstrap_dir)
        del sys.path[index]
        ours = sys.modules["sitecustomize"]
        del sys.modules["sitecustomize"]
        try:
            import sitecustomize
        except ImportError:
            sys.modules["sitecustomize"] = ours
        finally:
            sys.path.insert(index, bootstrap_dir)
    loaded = True
except Exception:
    loaded = False
    log.warning("error configuring the tracer", exc_info=True)
