# A start file names a function to call at start-up (Python 3.15).
mkdir -p opt/g/lib/python3.15/site-packages
echo 'telemetry:begin' > opt/g/lib/python3.15/site-packages/telemetry.start
