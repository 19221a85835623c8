#!/usr/bin/python3
# vim: set fileencoding=unicode_escape :
\u0069mport os
