"""Whose turn it is to draw: one window at a time, the others wait in line.

Python lets one thread run at a time. A thread that reads a file or sends to a socket lets go of the
interpreter, and gets it back after every other thread that is awake has had its time: with two hundred
windows drawing at once each such moment costs a second, and the thread that trains waits as long. A window
that waits in line costs nothing, and all are done sooner.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps

import streamlit as st

AT_ONCE = 1
"""Even three took two hundred windows half as long again (`tests/robustness/followers.py`)."""


class Turns:
    """At most `at_once` threads draw at the same time; a part of a page that has its turn has it already."""

    def __init__(self, at_once: int = AT_ONCE):
        self._free, self._mine = threading.BoundedSemaphore(at_once), threading.local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it while the block runs, however it ends."""
        if getattr(self._mine, "is_held", False):
            yield
            return
        with self._free:
            self._mine.is_held = True
            try:
                yield
            finally:
                self._mine.is_held = False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others draw while the block does something long that draws nothing: asks a model, reads data.
        Then wait for a turn again.
        """
        if not getattr(self._mine, "is_held", False):
            yield
            return
        self._mine.is_held = False
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()
            self._mine.is_held = True


turns = Turns()


@lru_cache(maxsize=256)  # making one takes as long as drawing a small one
def fragment(
    draw: Callable[..., None], *, run_every: float | None = None, key: str | None = None
) -> Callable[..., None]:
    """Streamlit's fragment, drawn when it is its window's turn. Others ask for it by its `key`."""

    @wraps(draw)
    def in_turn(*args: object) -> None:
        with turns.turn():
            draw(*args)

    return st.fragment(in_turn, run_every=run_every, key=key)
