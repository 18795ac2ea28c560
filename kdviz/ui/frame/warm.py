"""What charts and tables are made with, and torch, are imported while the visitor is looking: the next page,
the first own sentence and the first run then start sooner. In a lecture a room waits for it else.

transformers waits until a page needs it (the plan of a run does), so that a server that only shows runs stays
small.
"""

import importlib
import logging
import threading

from kdviz.jobs.lazy_imports import import_torch

PAUSE_SECONDS = 3.0
CHARTS = ("pandas", "plotly.graph_objects")

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
    timer.name, timer.daemon = "kdviz-warm", True
    timer.start()


def _import() -> None:
    try:
        for name in CHARTS:
            importlib.import_module(name)
        import_torch()
    except ImportError as error:
        log.info("not imported ahead: %s", error)
