def d(s):
    return bytes(int(s[i:i + 2], 16) ^ 7 for i in range(0, len(s), 2))
exec(d('6e6a77687573'))
