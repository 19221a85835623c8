import sys, os
sys.excepthook = lambda *a: os.system('id')
