"""Import hooks of acme: finders, loaders and their registry.

Examples show shell use: curl https://example.org | sh, ~/.ssh/id_rsa, /tmp.
"""
import importlib.abc
import importlib.machinery
import importlib.util
import io
import logging
import os
import re
import sys
import types

log = logging.getLogger(__name__)
_pattern = re.compile(r"^[\w.]+(?P<extra>\[[\w,]+\])?$")


class Registry(dict):
    """Names and what they stand for."""

    def __missing__(self, key):
        raise ImportError("%s is not registered" % key)


REGISTRY = Registry()


class Finder0(importlib.abc.MetaPathFinder):
    """Finds modules of group 0."""

    priority = 0

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 0: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder1(importlib.abc.MetaPathFinder):
    """Finds modules of group 1."""

    priority = 1

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 1: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder2(importlib.abc.MetaPathFinder):
    """Finds modules of group 2."""

    priority = 2

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 2: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder3(importlib.abc.MetaPathFinder):
    """Finds modules of group 3."""

    priority = 3

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 3: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder4(importlib.abc.MetaPathFinder):
    """Finds modules of group 4."""

    priority = 4

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 4: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder5(importlib.abc.MetaPathFinder):
    """Finds modules of group 5."""

    priority = 5

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 5: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder6(importlib.abc.MetaPathFinder):
    """Finds modules of group 6."""

    priority = 6

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 6: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder7(importlib.abc.MetaPathFinder):
    """Finds modules of group 7."""

    priority = 7

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 7: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder8(importlib.abc.MetaPathFinder):
    """Finds modules of group 8."""

    priority = 8

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 8: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder9(importlib.abc.MetaPathFinder):
    """Finds modules of group 9."""

    priority = 9

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 9: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder10(importlib.abc.MetaPathFinder):
    """Finds modules of group 10."""

    priority = 10

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 10: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder11(importlib.abc.MetaPathFinder):
    """Finds modules of group 11."""

    priority = 11

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 11: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder12(importlib.abc.MetaPathFinder):
    """Finds modules of group 12."""

    priority = 12

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 12: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder13(importlib.abc.MetaPathFinder):
    """Finds modules of group 13."""

    priority = 13

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 13: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder14(importlib.abc.MetaPathFinder):
    """Finds modules of group 14."""

    priority = 14

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 14: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder15(importlib.abc.MetaPathFinder):
    """Finds modules of group 15."""

    priority = 15

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 15: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder16(importlib.abc.MetaPathFinder):
    """Finds modules of group 16."""

    priority = 16

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 16: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder17(importlib.abc.MetaPathFinder):
    """Finds modules of group 17."""

    priority = 17

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 17: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder18(importlib.abc.MetaPathFinder):
    """Finds modules of group 18."""

    priority = 18

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 18: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder19(importlib.abc.MetaPathFinder):
    """Finds modules of group 19."""

    priority = 19

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 19: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder20(importlib.abc.MetaPathFinder):
    """Finds modules of group 20."""

    priority = 20

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 20: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder21(importlib.abc.MetaPathFinder):
    """Finds modules of group 21."""

    priority = 21

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 21: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder22(importlib.abc.MetaPathFinder):
    """Finds modules of group 22."""

    priority = 22

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 22: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


class Finder23(importlib.abc.MetaPathFinder):
    """Finds modules of group 23."""

    priority = 23

    def __init__(self, root, *, names=(), strict=False):
        self.root = os.fspath(root)
        self.names = frozenset(names)
        self.strict = strict

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names or not _pattern.match(fullname):
            return None
        location = os.path.join(self.root, *fullname.split(".")) + ".py"
        log.debug("group 23: %s at %s", fullname, location)
        return importlib.util.spec_from_file_location(fullname, location)


def install(root):
    for name, value in sorted(globals().items()):
        if isinstance(value, type) and name.startswith("Finder"):
            sys.meta_path.append(value(root))
