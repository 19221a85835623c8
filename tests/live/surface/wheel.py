"""Builds a wheel of the files below a directory: wheel.py DIRECTORY NAME TREE. Prints its path.

What is below `data/` is installed below the environment's prefix, the rest beside other packages."""

import base64
import hashlib
import os
import sys
import zipfile

directory, name, tree = sys.argv[1:]
info = f"{name}-1.0.dist-info"
files = {}
for above, _, names in os.walk(tree):
    for file in names:
        path = os.path.join(above, file)
        inside = os.path.relpath(path, tree)
        inside = f"{name}-1.0.data/{inside}" if inside.startswith("data/") else inside
        with open(path, "rb") as opened:
            files[inside] = opened.read()
files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
record = ""
for path, content in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    record += f"{path},sha256={digest},{len(content)}\n"
files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()

built = os.path.join(directory, f"{name}-1.0-py3-none-any.whl")
with zipfile.ZipFile(built, "w") as wheel:
    for path, content in files.items():
        wheel.writestr(path, content)
print(built)
