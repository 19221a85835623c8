t = {'a': __import__('os').system}
t['a']('id')
