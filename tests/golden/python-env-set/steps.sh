# The environment of everybody sets another variable that makes Python run code.
mkdir -p etc/profile.d
echo 'export PYTHONUSERBASE=/opt/base' > etc/profile.d/base.sh
