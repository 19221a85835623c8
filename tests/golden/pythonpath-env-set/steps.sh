# The environment of everybody adds a directory to the search path.
mkdir -p etc/profile.d
echo 'export PYTHONPATH=/opt/added' > etc/profile.d/path.sh
