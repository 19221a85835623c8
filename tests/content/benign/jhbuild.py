import sys, os

def addpackagedirs():
    prefix = os.environ.get('JHBUILD_PREFIX')
    if prefix:
        import site
        site.addsitedir(os.path.join(prefix, 'lib', 'python3', 'site-packages'))

addpackagedirs()
