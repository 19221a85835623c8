import os
globals()['o' + 's'].system('id')
