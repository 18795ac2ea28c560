"""What kdviz asks of Streamlit's server: its scripts compressed, and the first picture made ready while the
first browser still loads them.
"""

import importlib
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.middleware import Middleware

from kdviz.ui.frame.compat import (
    begin_each_run_at_the_top,
    carry_clicks_out_whole,
    let_each_run_be_heard,
    read_the_theme_once,
    tell_each_run_whole,
)
from kdviz.ui.frame.compressed import KeptCompressed

SWITCH_SECONDS = 0.0005
"""How long a thread of the server may keep the interpreter while others wait for it; else it is 5 ms. A step
of training gives it back a thousand times, one that draws at each file it reads, the one that serves at each
message: each time it would have to wait as long for whoever computes.
"""
FIRST_PAGE = ("kdviz.ui.present.stage", "kdviz.ui.start.parts")
COMPUTING = ("kdviz-prepare", "kdviz-warm", "kdviz-speed")
"""Threads of the app, beside the queue's, that compute or import."""
REST_SECONDS = 10.0
log = logging.getLogger("kdviz")


def settings() -> dict:
    """The arguments of Streamlit's `App` besides its script."""
    sys.setswitchinterval(SWITCH_SECONDS)
    let_each_run_be_heard()
    tell_each_run_whole()
    begin_each_run_at_the_top()
    carry_clicks_out_whole()
    read_the_theme_once()
    return {"middleware": [Middleware(KeptCompressed)], "lifespan": _lifespan}


@asynccontextmanager
async def _lifespan(_app: object) -> AsyncIterator[dict]:
    threading.Thread(target=prepare, name="kdviz-prepare", daemon=True).start()
    yield {}
    come_to_rest()


def come_to_rest() -> None:
    """Let no thread of ours compute while Python ends: one in torch, or importing it, breaks the process
    ("terminate called"). A run in progress is stopped, and can be taken up again.
    """
    from kdviz.jobs.queue import close_shared

    close_shared()
    for thread in threading.enumerate():
        if thread.name in COMPUTING:
            if isinstance(thread, threading.Timer):
                thread.cancel()
            thread.join(REST_SECONDS)


def prepare() -> None:
    """Import what the first page needs and read its picture from the store. Never calls streamlit; a fault
    here is left to the page, which says it to the visitor.
    """
    try:
        _first_picture()
    except Exception as error:
        log.info("the first page was not prepared ahead: %s", error)


def _first_picture() -> None:
    for name in FIRST_PAGE:
        importlib.import_module(name)
    from kdviz.explorer.source import preset_pack
    from kdviz.explorer.telling import students_of, telling_probe
    from kdviz.ui.frame.store import default_run, store, watchable

    runs = watchable(store().runs())
    if not runs:
        return
    run = default_run(runs, prefer_demo=True)
    students = students_of(run, runs)
    asked = telling_probe(students)
    for student in students:
        probe = next((probe for probe in student.probes if probe.id == asked), None)
        if probe is not None:
            preset_pack(student, probe)
