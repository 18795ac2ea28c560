"""A follower's window: what the presenter shows, until one lets go."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from kdviz.errors import RequestError
from kdviz.jobs import following
from kdviz.jobs.audience import is_another
from kdviz.jobs.following import Shown
from kdviz.share.lecture import Lecture, Step
from kdviz.share.roles import Place
from kdviz.text import plain
from kdviz.ui.frame import state
from kdviz.ui.frame.compat import can_wake, window_id
from kdviz.ui.frame.link import settle
from kdviz.ui.frame.screen import is_narrow
from kdviz.ui.frame.shell import draw_page
from kdviz.ui.frame.turns import fragment
from kdviz.ui.present import frame
from kdviz.ui.present.parts import words
from kdviz.ui.present.questions import follower_question
from kdviz.ui.present.wire import FOLLOWED, drawn_once

ASK_SECONDS, LISTEN_SECONDS = 1.0, 30.0
"""How often a window asks at most whether the presenter has gone on: where nobody can wake it, and else. What
a large room asks in vain holds up what it is told: a third of the work, at every five seconds.
"""
WIDTHS = (1, 2.4)
MOVING = ("distil", "studies")
"""Pages that are about what runs now, or take a form: every window draws them for itself."""
_SEEN, _FREE = "kdviz.follow.version", "kdviz.follow.free"


def follow() -> None:
    """The whole window. When the presenter has gone on it is a part of it that is drawn anew: what stands
    around it stays as it is.
    """
    _catch_up()
    pace = following.shared().pace(_least_pace())
    fragment(_ask, run_every=pace)(pace)
    fragment(_follow, key=FOLLOWED)()


def _catch_up() -> tuple[Shown | None, int, bool]:
    """(what is shown, its version, whether this window looks around on its own); where it does not, what is
    shown is its own view now.
    """
    session = st.session_state
    (shown, version), is_free = following.shared().now, session.get(_FREE, False)
    if not is_free and session.get(_SEEN) != version:
        session[_SEEN] = version
        if shown:
            _take(shown)
    return shown, version, is_free


def _follow() -> None:
    """What stands above the view is the same number of elements, whatever is shown."""
    shown, version, is_free = _catch_up()
    state.follow_presenter(not is_free)
    page = frame.take_page()
    _head(shown, is_free)
    if shown is None and not is_free:
        return
    found = _lecture()
    if found is None:
        view = st.container()
    else:
        text, view = st.columns(WIDTHS, gap="medium")
        at, step = frame.step_of(found)
        with text:
            _once(("words", found, at, page, version), lambda: _words(found, step), is_free)
            follower_question(found, step)
    with view:
        _once(("view", found is None, page, version), lambda: draw_page(page), is_free or page in MOVING)
    settle(state.current())


def _once(key: tuple, draw: Callable[[], None], is_own: bool) -> None:
    """Draw what all followers see alike once for all of them; what is this window's own for itself."""
    if is_own:
        draw()
    else:
        drawn_once((*key, st.context.theme.type, is_narrow()), draw)


def _words(found: Lecture, step: Step) -> None:
    runs = frame.all_runs()
    words(found, step, frame.seen(runs), runs)


def _lecture() -> Lecture | None:
    try:
        return frame.lecture()
    except RequestError as error:
        st.warning(plain(str(error)), icon=":material/menu_book:")
        return None


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
                disabled=shown is None or shown.is_last,
                on_click=_hold,
            )
        elif shown:
            st.markdown(
                ":material/podium: The presenter has stopped. You keep the last view; this page moves by "
                "itself when somebody leads again."
                if shown.is_last
                else ":material/podium: You see what the presenter shows."
            )
            st.button("Let go", icon=":material/explore:", on_click=_let_go)
        else:
            st.info("The presenter has not begun. This page moves by itself when they do.")


def _let_go() -> None:
    st.session_state[_FREE] = True


def _hold() -> None:
    st.session_state[_FREE] = False
    st.session_state.pop(_SEEN, None)


def _ask(pace: float) -> None:
    """Whether the presenter has gone on: for a window that was not woken, or cannot be."""
    room, session = following.shared(), st.session_state
    room.seen(window_id(), pace)
    is_behind = not session.get(_FREE, False) and session.get(_SEEN) != room.version
    if is_behind or is_another(room.pace(_least_pace()), pace):
        st.rerun()


def _least_pace() -> float:
    return LISTEN_SECONDS if can_wake() else ASK_SECONDS
