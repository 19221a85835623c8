import os
print(f"{1:{os.system('id')}}")
