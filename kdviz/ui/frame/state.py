"""What a session looks at: its one View, changed by controls, and the frame around it. `link` reads the View
from the page's link and writes it back.
"""

from collections.abc import Mapping

import streamlit as st

from kdviz.share.view import View
from kdviz.ui.frame.shell import page_path

_VIEW, _CHANGED, _GO = "kdviz.share.view", "kdviz.changed", "kdviz.go"
_FRAME, _MODE, _HELD = "kdviz.frame.params", "kdviz.frame.mode", "kdviz.follow.held"


def current() -> View:
    """What is being looked at."""
    return st.session_state.get(_VIEW, View())


def change(**changes: object) -> None:
    """Look at something else. For callbacks of controls: the page that follows shows it."""
    look_at(current().but(**changes))


def look_at(view: View) -> None:
    """Look at this. For callbacks of controls. What a window shows that follows is the presenter's alone: a
    click in it would else be in the drawing that others get.
    """
    if not is_following():
        replace_view(view)


def replace_view(view: View) -> None:
    """Look at this, whatever the link says."""
    keep_view(view)
    st.session_state[_CHANGED] = True


def keep_view(view: View) -> None:
    """Look at this, which the link says."""
    st.session_state[_VIEW] = view


def has_view() -> bool:
    """Whether the session has looked at anything yet."""
    return _VIEW in st.session_state


def take_changed() -> bool:
    """Whether a control has changed the view since the last time this was asked."""
    return bool(st.session_state.pop(_CHANGED, False))


def set_frame(mode: str, params: Mapping[str, str]) -> None:
    """What frame stands around the view (kdviz.ui.present.frame), and its part of the link."""
    st.session_state[_MODE], st.session_state[_FRAME] = mode, dict(params)


def frame_params() -> dict[str, str]:
    """The frame's part of the link; empty on an ordinary page."""
    return dict(st.session_state.get(_FRAME, {}))


def mode() -> str:
    """The frame's mode: "" for an ordinary page, else learn, present, follow."""
    return st.session_state.get(_MODE, "")


def follow_presenter(is_held: bool) -> None:
    """Whether the window moves with the presenter (kdviz.ui.present.follower): its controls are put away."""
    st.session_state[_HELD] = is_held


def is_following() -> bool:
    """Whether this window moves with the presenter now."""
    return mode() == "follow" and st.session_state.get(_HELD, False)


def go_to(page: str) -> None:
    """From a callback: open another page of the app (`attention`) at the start of the run that follows. A
    window that follows stays.
    """
    if not is_following():
        st.session_state[_GO] = page


def take_page_asked_for() -> str | None:
    """The page that `go_to` asked for, once."""
    return st.session_state.pop(_GO, None)


def leave_if_asked() -> None:
    """Do what `go_to` asked for. In a frame it is done before the page is drawn: that again, where a part of
    the page was drawn alone.
    """
    if mode() and _GO in st.session_state:
        st.rerun()
    page = take_page_asked_for()
    if page:
        st.switch_page(page_path(page))
