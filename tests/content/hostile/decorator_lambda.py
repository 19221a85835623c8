@eval
@lambda _: "__import__('os').system('id')"
def f(): pass
