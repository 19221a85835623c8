import os
import acmeapm
from acmeapm.instrumentation.control import instrument

if os.environ.get('ACME_ENABLED', 'true') == 'true':
    acmeapm.Client()
    instrument()
