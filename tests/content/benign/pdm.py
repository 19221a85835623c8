import os, sys, site

def get_pypackages_path(maxdepth=5):
    version = '.'.join(map(str, sys.version_info[:2]))
    path = os.getcwd()
    for _ in range(maxdepth):
        candidate = os.path.join(path, '__pypackages__', version, 'lib')
        if os.path.exists(candidate):
            return candidate
        path = os.path.dirname(path)
    return None

p = get_pypackages_path()
if p:
    site.addsitedir(p)
