# A module that every start of Python imports is changed.
echo 'import telemetry' >> opt/l/lib/python3.12/encodings/__init__.py
