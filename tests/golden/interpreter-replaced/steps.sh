# A script takes the place of the system's interpreter.
printf '#!/bin/sh\nexec /srv/python "$@"\n' > usr/bin/python3.12
