"""Where all runs stand, as every browser sees them, and what a visitor may do to one: watch, stop, resume."""

from collections.abc import Callable
from threading import Lock

import streamlit as st
from cachetools import LRUCache

from kdviz.errors import RequestError, kind_and_line
from kdviz.jobs.queue import shared
from kdviz.paths import runs_folder
from kdviz.share.live import Board, board_of
from kdviz.ui.frame import identity
from kdviz.ui.frame.store import store

BOARD_SECONDS = 0.5
_WATCHED, _REFUSAL = "distil.watched", "distil.refusal"
_last: LRUCache[tuple[str, str], str] = LRUCache(maxsize=500)
"""What a browser watched last, by the runs folder and who it is: a reload begins another session."""
_lock = Lock()


def board() -> Board:
    """Where all runs stand, read at most twice a second however many browsers ask."""
    return _board(str(runs_folder()))


@st.cache_resource(ttl=BOARD_SECONDS, max_entries=4, show_spinner=False)
def _board(folder: str) -> Board:
    return board_of(store(), shared(runs_folder()))


def forget_board() -> None:
    """Read the runs anew at the next call: something was just started, stopped or deleted."""
    _board.clear()


def watch(run_id: str) -> None:
    """Show this run when no other is being trained."""
    if st.session_state.get(_WATCHED) != run_id:
        st.session_state[_WATCHED] = run_id
        with _lock:
            _last[_browser()] = run_id


def watched() -> str | None:
    """The run that this session watched last, or before it, this browser."""
    if _WATCHED not in st.session_state:
        with _lock:
            st.session_state[_WATCHED] = _last.get(_browser())
    return st.session_state[_WATCHED]


def _browser() -> tuple[str, str]:
    return str(runs_folder()), identity.visitor().owner


def has_refusal() -> bool:
    """Whether something stood in the way of what was asked, and has not been said yet."""
    return _REFUSAL in st.session_state


def take_refusal() -> str | None:
    """What stood in the way, once."""
    return st.session_state.pop(_REFUSAL, None)


def ask_to_stop(run_id: str) -> None:
    """Callback of Stop: checked here, whatever the page showed. A run that has ended meanwhile needs no
    stopping.
    """

    def stop() -> None:
        row = board_of(store(), shared(runs_folder())).row(run_id)
        if row is not None and row.is_active and row.state != "stopping":
            shared(runs_folder()).stop(run_id)

    do("stop", run_id, stop)


def resume(run_id: str) -> None:
    """Callback of Resume: the run goes on from its last whole epoch, and is watched."""

    def take_up() -> None:
        shared(runs_folder()).take_up(run_id)
        watch(run_id)

    do("resume", run_id, take_up)


def do(action: str, run_id: str, act: Callable[[], None]) -> None:
    """Check on the server side who asks, act, and keep one line on what stood in the way for the page that
    follows.
    """
    try:
        identity.permissions().require(action, identity.visitor(), store().open(run_id).config)
        act()
    except RequestError as error:
        st.session_state[_REFUSAL] = str(error)
    except OSError as error:
        st.session_state[_REFUSAL] = f"Could not {action} {run_id}: {kind_and_line(error)}"
    forget_board()
