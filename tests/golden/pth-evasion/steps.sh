# A path configuration file hides its code behind an indented import line.
mkdir -p opt/d/lib/python3.12/site-packages
printf '# settings\n\timport telemetry\n' > opt/d/lib/python3.12/site-packages/.hidden.pth
