# The script that PYTHONSTARTUP names is changed.
echo 'import telemetry' >> home/v/startup.py
