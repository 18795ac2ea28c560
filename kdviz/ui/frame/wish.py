"""What a click asked for that takes longer than a callback may: done by the next run of the script, whichever
page it draws, and by the one behind it where that was cut short by another click.
"""

from collections.abc import Callable

import streamlit as st

from kdviz.ui.frame.guard import guarded

_WISH = "kdviz.wish"


def wish(page: str, act: Callable[[], None]) -> None:
    """From a callback: let `act()` be done where `page` has the place for it, or before any other page. What
    cannot be done twice is preceded by `fulfilled()`.
    """
    st.session_state[_WISH] = page, act


def carry_out() -> None:
    """Do what was wished for: on its page, the place for that."""
    if _WISH not in st.session_state:
        return
    try:
        st.session_state[_WISH][1]()
    except Exception:  # a fault, not Streamlit's own control flow, which leaves it to the next run
        fulfilled()
        raise
    fulfilled()


def carry_out_before(page: str) -> None:
    """Do what was wished for on another page: the visitor has gone on to this one meanwhile."""
    if _WISH in st.session_state and st.session_state[_WISH][0] != page:
        with guarded("What was asked for"):
            carry_out()


def fulfilled() -> bool:
    """Say that what was wished for is done, or cannot be; returns whether it had not been said yet. Nothing
    interrupts the script between this and its next look at the session or word to the page.
    """
    return st.session_state.pop(_WISH, None) is not None
