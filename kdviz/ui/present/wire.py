"""What a room of two hundred needs and Streamlit has no public way for, all of it here: waking other windows,
and sending them what one of them has drawn.

Drawing a page takes 20 to 60 ms of one core. Two hundred followers of one presenter look at the same page:
the first of them draws it, and the others get its messages. Where a version of Streamlit lacks what this is
built on, followers ask for themselves at a quicker pace and every window draws for itself: slower, not wrong.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock

from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

log = logging.getLogger("kdviz")

SECONDS_APART = 0.004
"""Windows are woken one after the other: all at once they would only hold each other up."""
KEPT = 12
_drawn: OrderedDict[Hashable, tuple[str, list]] = OrderedDict()
_lock = Lock()


def window_id() -> str:
    """Streamlit's name of this window's session."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def can_wake() -> bool:
    """Whether other windows can be woken by this version of Streamlit."""
    try:
        runtime = get_instance()
        return hasattr(runtime, "_session_mgr") and hasattr(runtime, "_get_async_objs")
    except RuntimeError:  # no server: a test without a browser
        return False


def wake(windows: Sequence[str]) -> None:
    """Let these windows draw themselves anew, now."""
    if not windows or not can_wake():
        return
    runtime = get_instance()
    try:
        loop, sessions = runtime._get_async_objs().eventloop, runtime._session_mgr
    except (AttributeError, RuntimeError) as error:
        log.warning("followers are not woken, they ask for themselves: %s", error)
        return

    def one(name: str) -> None:
        found = sessions.get_active_session_info(name)
        if found is not None:
            found.session.request_rerun(None)

    def all_of_them() -> None:
        for place, name in enumerate(windows):
            loop.call_later(place * SECONDS_APART, one, name)

    loop.call_soon_threadsafe(all_of_them)


def drawn_once(key: Hashable, draw: Callable[[], None]) -> None:
    """`draw()`, which only shows and takes no input; the next window with the same `key` gets its messages.

    `key` has to say everything that the drawing depends on, and the container has to stand at the same place
    in every window.
    """
    context = get_script_run_ctx()
    if context is None or not hasattr(context, "_enqueue"):
        draw()
        return
    with _lock:
        drawer, kept = _drawn.get(key, ("", []))
    if drawer not in ("", context.session_id):  # its own controls live on in the window that drew them
        for message in kept:
            context._enqueue(message)
        return
    messages, send = [], context._enqueue

    def noted(message: object) -> None:
        messages.append(message)
        send(message)

    context._enqueue = noted
    try:
        draw()
    finally:
        context._enqueue = send
    if any(message.HasField("ref_hash") or message.HasField("auto_rerun") for message in messages):
        return  # it refers to what that browser has already, or moves by itself
    with _lock:
        _drawn[key] = (context.session_id, messages)
        while len(_drawn) > KEPT:
            _drawn.popitem(last=False)
