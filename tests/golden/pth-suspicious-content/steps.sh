# A path configuration file decodes and runs hidden code, as the poisoned litellm package did.
mkdir -p opt/c/lib/python3.12/site-packages
echo "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', \"import base64; exec(base64.b64decode('cHJpbnQoMSk='))\"])" > opt/c/lib/python3.12/site-packages/litellm_init.pth
