# A link takes the place of a directory of packages.
mkdir -p srv/other
mv opt/q/lib/python3.12/site-packages srv/aside && ln -s /srv/other opt/q/lib/python3.12/site-packages
