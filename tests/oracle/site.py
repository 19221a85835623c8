"""Prints what the `site` module of this interpreter runs. For every Python from 2.7 on.

The argument is a directory of cases, each a directory of start-up files. Their lines call `sys.ran` with a
number. Prints the version, the encoding of the locale, and for each case the numbers that ran.
"""
from __future__ import print_function

import json
import os
import site
import sys
import types
import warnings

warnings.simplefilter("ignore")
locale_name = os.environ.get("LC_ALL")
if sys.version_info < (3,):
    import locale
    locale.setlocale(locale.LC_ALL, "")
    encoding = locale.nl_langinfo(locale.CODESET)
else:
    import _locale
    encoding = _locale.nl_langinfo(_locale.CODESET)


class Target(types.ModuleType):
    """A module that has every function f0, f1 and so on."""

    def __getattr__(self, name):
        if not name.startswith("f"):
            raise AttributeError(name)
        return lambda: sys.ran(int(name[1:]))


root = sys.argv[1]
out = os.dup(1)
silent = os.open(os.devnull, os.O_WRONLY)
os.dup2(silent, 1)
os.dup2(silent, 2)
sys.modules["oracle_target"] = Target("oracle_target")
path = list(sys.path)
results = {}
for case in sorted(os.listdir(root)):
    ran = []
    sys.ran = ran.append
    try:
        site.addsitedir(os.path.join(root, case), set())
    except Exception:
        pass
    sys.path[:] = path
    results[case] = ran
document = {"version": list(sys.version_info[:2]), "encoding": encoding, "ran": results}
os.write(out, json.dumps(document).encode("ascii"))
