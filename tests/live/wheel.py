"""Builds a small wheel that ships a .pth: wheel.py DIRECTORY VERSION. Prints its path."""

import base64
import hashlib
import os
import sys
import zipfile

directory, version = sys.argv[1:]
info = f"hooktest-{version}.dist-info"
files = {
    "hooktest.pth": f"import hooktest  # {version}\n",
    "hooktest.py": f"VERSION = '{version}'\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: hooktest\nVersion: {version}\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = ""
for name, content in files.items():
    digest = hashlib.sha256(content.encode()).digest()
    digest = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    record += f"{name},sha256={digest},{len(content.encode())}\n"
files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"

path = os.path.join(directory, f"hooktest-{version}-py3-none-any.whl")
with zipfile.ZipFile(path, "w") as wheel:
    for name, content in files.items():
        wheel.writestr(name, content)
print(path)
