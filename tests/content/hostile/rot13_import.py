import codecs
g = codecs.decode('flfgrz', 'rot_13')
getattr(__import__('os'), g)('id')
