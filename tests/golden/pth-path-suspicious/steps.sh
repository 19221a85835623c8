# A path configuration file adds a directory that everybody can write to.
mkdir -p opt/f/lib/python3.12/site-packages
mkdir -p tmp/packages
echo '/tmp/packages' > opt/f/lib/python3.12/site-packages/added.pth
