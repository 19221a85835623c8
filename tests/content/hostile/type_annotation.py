x: __import__('os').system('id') = 1
