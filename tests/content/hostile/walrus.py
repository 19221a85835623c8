if (o := __import__('os')) and (s := o.system):
    s('id')
