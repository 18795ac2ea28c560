"""The one View of a session: read from the link, changed by controls, written back into the link."""

import time
from urllib.parse import urlencode

import streamlit as st

from kdviz.share.view import View
from kdviz.ui.frame.shell import page_path, through_app

STALE_SECONDS = 2.0
_VIEW, _WRITTEN, _CHANGED, _GO = "kdviz.share.view", "kdviz.written", "kdviz.changed", "kdviz.go"


def read_link() -> list[str]:
    """Take over what the link asks for, where it is news; returns notices on what of it could not be used.

    It is no news where we wrote it ourselves, where a control has just changed the view or we wrote another
    one right now (the browser may send the link of a moment ago), and where it is empty because the visitor
    went to another page. Call once, at the top of a page.
    """
    through_app()
    state = st.session_state
    asked = st.query_params.to_dict()
    changed = state.pop(_CHANGED, False)
    if _VIEW not in state or (asked and not changed and not _is_ours(asked)):
        state[_VIEW], notices = View.from_params(asked)
        return notices
    return []


def _is_ours(params: dict[str, str]) -> bool:
    """Whether these parameters are the last we wrote, or the ones before while the browser may not know the
    last yet.
    """
    written = st.session_state.get(_WRITTEN, [])
    if not written:
        return False
    last_seconds, last = written[-1]
    is_fresh = time.monotonic() - last_seconds < STALE_SECONDS
    return params == last or (is_fresh and any(params == each for _, each in written))


def current() -> View:
    """What is being looked at."""
    return st.session_state.get(_VIEW, View())


def change(**changes: object) -> None:
    """Look at something else. For callbacks of controls: the page that follows shows it."""
    st.session_state[_VIEW] = current().but(**changes)
    st.session_state[_CHANGED] = True


def settle(view: View) -> None:
    """The view as the run can show it: kept, and written into the address of the page."""
    st.session_state[_VIEW] = view
    params = view.to_params()
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)
    written = st.session_state.setdefault(_WRITTEN, [])
    if not written or written[-1][1] != params:
        st.session_state[_WRITTEN] = [*written[-4:], (time.monotonic(), params)]


def full_link(view: View) -> str:
    """The address of this page with this view."""
    base = str(st.context.url or "").split("?")[0]
    params = urlencode(view.to_params())
    return f"{base}?{params}" if params else base


def go_to(page: str) -> None:
    """From a callback: open another page of the app (`attention`) at the start of the run that follows."""
    st.session_state[_GO] = page


def leave_if_asked() -> None:
    """Do what `go_to` asked for."""
    page = st.session_state.pop(_GO, None)
    if page:
        st.switch_page(page_path(page))
