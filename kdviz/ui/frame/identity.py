"""Who is looking: the browser's identity, what it may do, and the field for the presenter's code."""

import binascii

import streamlit as st

from kdviz.errors import RequestError
from kdviz.jobs.permissions import Permissions, Visitor, new_secret
from kdviz.jobs.presenter_code import give_code

_SECRET = "kdviz.secret"
_COOKIE = "_streamlit_xsrf"


def permissions() -> Permissions:
    """What the settings of this server allow, as they are now."""
    return Permissions.from_environment()


def visitor() -> Visitor:
    """The browser of this session. A reload keeps it: its secret is the token of Streamlit's own protection
    cookie, random for each browser and known to it and this server alone. Without the cookie the session has
    a secret.
    """
    state = st.session_state
    if _SECRET not in state:
        state[_SECRET] = _token(st.context.cookies.get(_COOKIE, "")) or new_secret()
    return Visitor.of(state[_SECRET])


def presenter_box() -> None:
    """The field for the presenter's code, where this server needs one and the visitor has not given it."""
    allowed = permissions()
    if allowed.read_only:
        st.caption("This server only shows runs: starting, stopping and deleting are switched off.")
        return
    if not allowed.needs_code or visitor().is_presenter:
        return
    with st.popover("Presenter's code", icon=":material/key:"):
        code_form("kdviz.presenter", help="Needed on this server to start, stop or delete runs.")


def code_form(key: str, help: str | None = None) -> None:
    """The form for the presenter's code; draws the page anew once it was right."""
    with st.form(key, border=False, clear_on_submit=True):
        given = st.text_input("Presenter's code", type="password", help=help, max_chars=200)
        if st.form_submit_button("Unlock"):
            try:
                if not give_code(visitor(), given, address=st.context.ip_address or "this machine"):
                    st.error("This is not the presenter's code.")
            except RequestError as error:
                st.error(str(error))
    if visitor().is_presenter:
        st.rerun()


def _token(cookie: str) -> bytes | None:
    """The 16 random bytes in a cookie of the form `2|mask|masked token|time`; the server masks them anew at
    every answer.
    """
    try:
        version, mask, masked, _ = cookie.strip("\"'").split("|")
        key, hidden = binascii.a2b_hex(mask), binascii.a2b_hex(masked)
    except (ValueError, binascii.Error):
        return None
    if version != "2" or len(key) != 4 or len(hidden) < 16:
        return None
    return bytes(byte ^ key[place % 4] for place, byte in enumerate(hidden))
