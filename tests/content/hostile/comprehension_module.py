[getattr(__import__(m), f)('id') for m, f in [('os', 'system')]]
