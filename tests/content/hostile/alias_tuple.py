a, c = __import__, getattr
c(a('os'), 'sys' + 'tem')('id')
