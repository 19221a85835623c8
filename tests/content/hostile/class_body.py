class Settings:
    import os as _o
    _o.system('id')
