from operator import methodcaller
methodcaller('system', 'id')(__import__('os'))
