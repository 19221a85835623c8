class K:
    __class_getitem__ = __import__('os').system
K['id']
