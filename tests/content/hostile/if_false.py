if False:
    __import__('os').system('id')
