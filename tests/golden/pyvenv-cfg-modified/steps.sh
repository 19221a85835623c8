# The configuration of a virtual environment names another interpreter.
echo 'home = /tmp/evil/bin' > srv/venv/pyvenv.cfg
