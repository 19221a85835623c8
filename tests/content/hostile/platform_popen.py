import platform
platform.popen('id').read()
