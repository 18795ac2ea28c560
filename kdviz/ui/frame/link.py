"""The link of a page: the session's View is read from it, and written back into it.

A link is the view's parameters and those of the frame around it (a lecture, the presenter, a follower). One
that is given away carries `v` too, the version of links.
"""

import time
from urllib.parse import urlencode

import streamlit as st

from kdviz.share.view import LINK_VERSION, View, version_notice
from kdviz.ui.frame import state
from kdviz.ui.frame.compat import came_by_history
from kdviz.ui.frame.shell import through_app

STALE_SECONDS = 2.0
_WRITTEN, _READ = "kdviz.written", "kdviz.link.read"


def read_link() -> list[str]:
    """Take over what the link asks for, where it is news; returns notices on what of it could not be used.

    It is no news where we wrote it ourselves, where a control has just changed the view or we wrote another
    one right now (the browser may send the link of a moment ago), and where it is empty because the visitor
    went to another page. What Back and Forward ask for is always news. Call once, at the top of a page; where
    a frame has called it, nothing is left to do.
    """
    through_app()
    if st.session_state.pop(_READ, False):
        return []
    asked = st.query_params.to_dict()
    changed = state.take_changed() and not came_by_history()
    if not state.has_view() or (asked and not changed and is_news()):
        view, notices = View.from_params(asked)
        state.keep_view(view)
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


def settle(view: View, **more: str) -> None:
    """The view as the run can show it: kept, and written into the address of the page. `more`: what else the
    link of a page says that stands in no frame.
    """
    state.keep_view(view)
    params = link_params(view) | ({} if state.mode() else more)
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)
    written = st.session_state.setdefault(_WRITTEN, [])
    if not written or written[-1][1] != params:
        st.session_state[_WRITTEN] = [*written[-4:], (time.monotonic(), params)]


def link_params(view: View) -> dict[str, str]:
    """The parameters of the link to this view in this frame. A follower's link is the room's."""
    frame = state.frame_params()
    return frame if "follow" in frame else frame | view.to_params()


def full_link(view: View) -> str:
    """The address of this page with this view, to be given away."""
    return f"{base_url()}?{urlencode(link_params(view) | {'v': str(LINK_VERSION)})}"


def base_url() -> str:
    """The address of this page without parameters."""
    return str(st.context.url or "").split("?")[0]
