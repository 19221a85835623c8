# The module that a path configuration file imports is changed.
echo 'import telemetry' >> opt/k/lib/python3.12/site-packages/shop_hook.py
