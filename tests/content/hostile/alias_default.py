def f(x, run=__import__('os').popen):
    return run(x)

f('id')
