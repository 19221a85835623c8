größe = 3
π = 3.14159

def fläche(r):
    return π * r ** 2

название = 'имя'
