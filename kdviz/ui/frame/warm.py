"""torch is imported while the visitor is looking: the first own sentence and the first run then start sooner.

transformers waits until a page needs it (the plan of a run does), so that a server that only shows runs stays
small.
"""

import logging
import threading

from kdviz.jobs.lazy_imports import import_torch

PAUSE_SECONDS = 3.0

_started = threading.Event()
log = logging.getLogger("kdviz")


def warm() -> None:
    """Start importing in the background, once per process, a little after the first page stands. Never calls
    streamlit.
    """
    if _started.is_set():
        return
    _started.set()
    timer = threading.Timer(PAUSE_SECONDS, _import)
    timer.daemon = True
    timer.start()


def _import() -> None:
    try:
        import_torch()
    except ImportError as error:
        log.info("not imported ahead: %s", error)
