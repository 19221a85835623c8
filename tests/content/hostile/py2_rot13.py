exec('vzcbeg bf'.decode('rot13'))
