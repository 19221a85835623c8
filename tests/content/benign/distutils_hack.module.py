import os
import sys

report_url = "https://github.com/example/setuptools/issues/new?template=distutils-deprecation.yml"


def warn_distutils_present():
    if "distutils" not in sys.modules:
        return
    import warnings

    warnings.warn("Distutils was imported before Setuptools, but importing Setuptools also replaces it.")


def enabled():
    which = os.environ.get("SETUPTOOLS_USE_DISTUTILS", "local")
    if which == "stdlib":
        import warnings

        warnings.warn("Reliance on distutils from stdlib is deprecated. Please report to " + report_url)
    return which == "local"


def ensure_local_distutils():
    import importlib

    with shim():
        importlib.import_module("distutils")
    core = importlib.import_module("distutils.core")
    assert "_distutils" in core.__file__, core.__file__


class DistutilsMetaFinder:
    def find_spec(self, fullname, path, target=None):
        if path is not None and not fullname.startswith("test."):
            return None
        method_name = "spec_for_{fullname}".format(**locals())
        method = getattr(self, method_name, lambda: None)
        return method()

    def spec_for_distutils(self):
        import importlib
        import importlib.abc
        import importlib.util

        try:
            mod = importlib.import_module("setuptools._distutils")
        except Exception:
            return None

        class DistutilsLoader(importlib.abc.Loader):
            def create_module(self, spec):
                mod.__name__ = "distutils"
                return mod

            def exec_module(self, module):
                pass

        return importlib.util.spec_from_loader("distutils", DistutilsLoader(), origin=mod.__file__)

    @staticmethod
    def pip_imported_during_build():
        import traceback

        return any(frame.f_globals["__file__"].endswith("setup.py") for frame, line in traceback.walk_stack(None))


DISTUTILS_FINDER = DistutilsMetaFinder()


def add_shim():
    DISTUTILS_FINDER in sys.meta_path or sys.meta_path.insert(0, DISTUTILS_FINDER)
