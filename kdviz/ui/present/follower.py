"""A follower's window: what the presenter shows, until one lets go."""

from dataclasses import replace

import streamlit as st

from kdviz.errors import RequestError
from kdviz.jobs import following
from kdviz.jobs.following import Shown
from kdviz.share.roles import Place
from kdviz.text import plain
from kdviz.ui.frame import state
from kdviz.ui.frame.identity import visitor
from kdviz.ui.frame.shell import draw_page
from kdviz.ui.present import frame
from kdviz.ui.present.parts import words
from kdviz.ui.present.questions import follower_question

POLL_SECONDS = 0.8
_SEEN, _FREE = "kdviz.follow.version", "kdviz.follow.free"


def follow() -> None:
    """The whole window."""
    room, session = following.shared(), st.session_state
    shown, is_free = room.shown, session.get(_FREE, False)
    version = room.version
    if not is_free and session.get(_SEEN) != version:
        session[_SEEN] = version
        if shown:
            _take(shown)
    page = frame.take_page()
    _head(shown, is_free)
    if shown is None and not is_free:
        _watch(version)
        return
    _watch(version)
    try:
        found = frame.lecture()
    except RequestError as error:
        st.warning(plain(str(error)), icon=":material/menu_book:")
        found = None
    if found is None:
        draw_page(page)
        return
    at, step = frame.step_of(found)
    runs = frame.all_runs()
    text, view = st.columns((1, 2.4), gap="medium")
    with text:
        words(step, frame.seen(runs), runs)
        follower_question(found, step, at)
    with view:
        draw_page(page)


def is_following() -> bool:
    """Whether this window moves with the presenter now: its own controls are put away."""
    return state.mode() == frame.FOLLOW and not st.session_state.get(_FREE, False)


def _take(shown: Shown) -> None:
    """Make the presenter's frame and view this window's."""
    asked, _ = frame.Frame.from_params(shown.params)
    current = replace(asked, mode=frame.FOLLOW)
    frame.keep(current)
    frame.show(Place(page=shown.page, params=shown.params))


def _head(shown: Shown | None, is_free: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if is_free:
            st.markdown(":material/explore: You look around on your own.")
            st.button(
                "Follow the presenter",
                icon=":material/podium:",
                type="primary",
                disabled=shown is None,
                on_click=_hold,
            )
        elif shown:
            st.markdown(":material/podium: You see what the presenter shows.")
            st.button("Let go", icon=":material/explore:", on_click=_let_go)
        else:
            st.info("The presenter has not begun. This page moves by itself when they do.")


def _let_go() -> None:
    st.session_state[_FREE] = True


def _hold() -> None:
    st.session_state[_FREE] = False
    st.session_state.pop(_SEEN, None)


@st.fragment(run_every=POLL_SECONDS)
def _watch(version: int) -> None:
    """Ask whether the presenter has gone on; the whole window is drawn again only then."""
    room = following.shared()
    room.seen(visitor())
    if room.version != version and not st.session_state.get(_FREE, False):
        st.rerun()
