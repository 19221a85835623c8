import sys
sys.modules.get('posix').system('id')
