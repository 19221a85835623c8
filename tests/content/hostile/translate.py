t = str.maketrans('abc', 'xyz')
exec('bcaacb'.translate(t))
