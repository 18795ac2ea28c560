"""What a room of two hundred needs: telling its windows, and sending them what one of them has drawn.

Drawing a page takes 20 to 60 ms of one core. Two hundred followers of one presenter look at the same page:
the first of them draws it, and the others get its messages. Where a version of Streamlit lacks what this is
built on (`kdviz.ui.frame.compat`), every window draws for itself: slower, not wrong.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

import streamlit as st
from cachetools import LRUCache

from kdviz.jobs import following
from kdviz.ui.frame.compat import can_note, holds_for_all, noted, send_again, still_open, wake, window_id

FOLLOWED = "kdviz.follow"
"""The key of the part of a follower's window that follows."""
_MOST = 12
_drawn: LRUCache[Hashable, tuple[str, list[Any]]] = LRUCache(maxsize=_MOST)
_drawing: LRUCache[Hashable, Lock] = LRUCache(maxsize=4 * _MOST)
_lock = Lock()


def num_followers() -> int:
    """How many windows follow now: a closed one is not counted, though it would ask only later."""
    return len(still_open(following.shared().windows))


def wake_followers() -> None:
    """Let the windows that follow now draw what follows, and it alone."""
    wake(following.shared().windows, FOLLOWED)


def drawn_once(key: Hashable, draw: Callable[[], None]) -> None:
    """`draw()`, which only shows and takes no input; the next window with the same `key` gets its messages,
    and waits for them where they are being drawn.

    `key` has to say everything that the drawing depends on, and the container has to stand at the same place
    in every window. What is drawn has a container of its own: sent again, it would not move the place of what
    a window draws next to it, and that would be drawn over it.
    """
    with st.container():
        if not can_note():
            draw()
            return
        with _lock:
            one_draws = _drawing.setdefault(key, Lock())
        with one_draws:
            kept = _drawn_once(key, draw)
        if kept:
            send_again(kept)


def _drawn_once(key: Hashable, draw: Callable[[], None]) -> list[Any]:
    """What another window has drawn; else draws, and has sent it already."""
    with _lock:
        drawer, kept = _drawn.get(key, ("", []))
    if drawer not in ("", window_id()):  # its own controls live on in the window that drew them
        return kept
    messages = noted(draw)
    if holds_for_all(messages):
        with _lock:
            _drawn[key] = (window_id(), messages)
    return []
