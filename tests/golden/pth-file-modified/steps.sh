# A program that is no installer adds an import line to an existing path configuration file.
echo 'import telemetry' >> opt/b/lib/python3.12/site-packages/shop.pth
