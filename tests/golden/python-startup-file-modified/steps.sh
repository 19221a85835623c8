# A copy of site.py appears in a directory of packages.
mkdir -p opt/j/lib/python3.12/site-packages
echo 'import telemetry' > opt/j/lib/python3.12/site-packages/site.py
