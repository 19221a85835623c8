# A module of the standard library that many starts import is changed.
echo 'import telemetry' >> opt/m/lib/python3.12/site.py
