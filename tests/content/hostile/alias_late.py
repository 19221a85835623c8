def boot():
    run(payload)

from os import system as run
payload = 'id'
boot()
