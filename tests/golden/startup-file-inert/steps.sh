# A file has the name of a start-up module where no Python looks for it.
mkdir -p srv/shop
echo 'VALUE = 1' > srv/shop/sitecustomize.py
