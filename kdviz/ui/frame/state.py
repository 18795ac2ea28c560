"""The one View of a session: read from the link, changed by controls, written back into the link.

A link is the view's parameters and those of the frame around it (a lecture, the presenter, a follower). One
that is given away carries `v` too, the version of links.
"""

import time
from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st

from kdviz.share.view import LINK_VERSION, View, version_notice
from kdviz.ui.frame.compat import came_by_history
from kdviz.ui.frame.shell import page_path, through_app

STALE_SECONDS = 2.0
_VIEW, _WRITTEN, _CHANGED, _GO = "kdviz.share.view", "kdviz.written", "kdviz.changed", "kdviz.go"
_FRAME, _MODE, _READ = "kdviz.frame.params", "kdviz.frame.mode", "kdviz.link.read"
_HELD = "kdviz.follow.held"


def read_link() -> list[str]:
    """Take over what the link asks for, where it is news; returns notices on what of it could not be used.

    It is no news where we wrote it ourselves, where a control has just changed the view or we wrote another
    one right now (the browser may send the link of a moment ago), and where it is empty because the visitor
    went to another page. What Back and Forward ask for is always news. Call once, at the top of a page; where
    a frame has called it, nothing is left to do.
    """
    through_app()
    state = st.session_state
    if state.pop(_READ, False):
        return []
    asked = st.query_params.to_dict()
    changed = state.pop(_CHANGED, False) and not came_by_history()
    if _VIEW not in state or (asked and not changed and is_news()):
        state[_VIEW], notices = View.from_params(asked)
        return version_notice(asked) + notices
    return []


def read_link_for_page() -> list[str]:
    """`read_link` by the frame, which has to know the view before the page in it is drawn."""
    st.session_state.pop(_READ, None)
    notices = read_link()
    st.session_state[_READ] = True
    return notices


def is_news() -> bool:
    """Whether the link is another than the last we wrote, and than the ones before while the browser may not
    know the last yet.
    """
    params = st.query_params.to_dict()
    written = st.session_state.get(_WRITTEN, [])
    if not written:
        return True
    last_seconds, last = written[-1]
    is_fresh = time.monotonic() - last_seconds < STALE_SECONDS and not came_by_history()
    return params != last and not (is_fresh and any(params == each for _, each in written))


def current() -> View:
    """What is being looked at."""
    return st.session_state.get(_VIEW, View())


def change(**changes: object) -> None:
    """Look at something else. For callbacks of controls: the page that follows shows it."""
    replace_view(current().but(**changes))


def replace_view(view: View) -> None:
    """Look at this, whatever the link says."""
    st.session_state[_VIEW] = view
    st.session_state[_CHANGED] = True


def set_frame(mode: str, params: Mapping[str, str]) -> None:
    """What frame stands around the view (kdviz.ui.present.frame), and its part of the link."""
    st.session_state[_MODE], st.session_state[_FRAME] = mode, dict(params)


def mode() -> str:
    """The frame's mode: "" for an ordinary page, else learn, present, follow."""
    return st.session_state.get(_MODE, "")


def follow_presenter(is_held: bool) -> None:
    """Whether the window moves with the presenter (kdviz.ui.present.follower): its controls are put away."""
    st.session_state[_HELD] = is_held


def is_following() -> bool:
    """Whether this window moves with the presenter now."""
    return mode() == "follow" and st.session_state.get(_HELD, False)


def settle(view: View, **more: str) -> None:
    """The view as the run can show it: kept, and written into the address of the page. `more`: what else the
    link of a page says that stands in no frame.
    """
    st.session_state[_VIEW] = view
    params = link_params(view) | ({} if mode() else more)
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)
    written = st.session_state.setdefault(_WRITTEN, [])
    if not written or written[-1][1] != params:
        st.session_state[_WRITTEN] = [*written[-4:], (time.monotonic(), params)]


def link_params(view: View) -> dict[str, str]:
    """The parameters of the link to this view in this frame. A follower's link is the room's."""
    frame = st.session_state.get(_FRAME, {})
    return dict(frame) if "follow" in frame else frame | view.to_params()


def full_link(view: View) -> str:
    """The address of this page with this view, to be given away."""
    return f"{base_url()}?{urlencode(link_params(view) | {'v': str(LINK_VERSION)})}"


def base_url() -> str:
    """The address of this page without parameters."""
    return str(st.context.url or "").split("?")[0]


def go_to(page: str) -> None:
    """From a callback: open another page of the app (`attention`) at the start of the run that follows."""
    st.session_state[_GO] = page


def take_page_asked_for() -> str | None:
    """The page that `go_to` asked for, once."""
    return st.session_state.pop(_GO, None)


def leave_if_asked() -> None:
    """Do what `go_to` asked for. In a frame it has been done before the page was drawn."""
    page = take_page_asked_for()
    if page:
        st.switch_page(page_path(page))
