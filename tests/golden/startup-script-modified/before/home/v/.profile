export PYTHONSTARTUP=/home/v/startup.py
