# The environment of everybody names a script for interactive sessions.
echo 'PYTHONSTARTUP=/opt/startup.py' > etc/environment
