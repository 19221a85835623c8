import sys
sys.addaudithook(lambda e, a: __import__('subprocess').call(['id']))
