# A path configuration file with an import line appears beside the packages.
mkdir -p opt/a/lib/python3.12/site-packages
echo 'import telemetry' > opt/a/lib/python3.12/site-packages/telemetry.pth
