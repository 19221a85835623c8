# vim: set fileencoding=iso-8859-15 :
import locale
locale.setlocale(locale.LC_ALL, '')
