# A wheel that every new virtual environment installs is changed.
echo 'x' >> opt/o/lib/python3.12/ensurepip/_bundled/pip-24.0-py3-none-any.whl
