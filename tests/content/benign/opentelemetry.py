from logging import getLogger
from os import environ
from os.path import abspath, dirname, pathsep

_logger = getLogger(__name__)


def initialize(*, swallow_exceptions=True):
    # The agent must not load itself into programs that are started from here.
    if "PYTHONPATH" in environ:
        keep = [p for p in environ["PYTHONPATH"].split(pathsep) if abspath(p) != dirname(abspath(__file__))]
        environ["PYTHONPATH"] = pathsep.join(keep)
    try:
        from acme.instrumentation import load_configurators, load_distro, load_instrumentors

        distro = load_distro()
        distro.configure()
        load_configurators()
        load_instrumentors(distro)
    except Exception as exc:
        _logger.exception("Failed to auto initialize")
        if not swallow_exceptions:
            raise ValueError("Failed to auto initialize") from exc


initialize()
