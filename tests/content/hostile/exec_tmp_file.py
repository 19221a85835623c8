exec(open('/tmp/.x').read())
