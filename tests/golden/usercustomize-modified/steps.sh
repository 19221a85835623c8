# The module that Python imports at every start of one user appears.
mkdir -p home/u/.local/lib/python3.12/site-packages
echo 'import telemetry' > home/u/.local/lib/python3.12/site-packages/usercustomize.py
