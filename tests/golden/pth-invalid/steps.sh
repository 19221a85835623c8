# A path configuration file is not UTF-8.
mkdir -p opt/e/lib/python3.12/site-packages
printf '/opt/e/caf\351\n' > opt/e/lib/python3.12/site-packages/latin.pth
