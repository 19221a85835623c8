import subprocess as logging
logging.run(['id'])
