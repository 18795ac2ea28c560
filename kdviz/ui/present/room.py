"""The presenter's side of the room: leading it, and how it gets in."""

from urllib.parse import urlsplit

import streamlit as st

from kdviz.errors import RequestError
from kdviz.jobs import following
from kdviz.ui.frame import state
from kdviz.ui.frame.identity import code_form, permissions, visitor
from kdviz.ui.frame.link import base_url
from kdviz.ui.frame.take_home import qr
from kdviz.ui.frame.turns import fragment
from kdviz.ui.present import frame
from kdviz.ui.present.wire import num_followers, wake_followers

LOCAL = ("localhost", "127.0.0.1", "::1")
POLL_SECONDS = 2.0


def room_link() -> str:
    """The address that a follower opens."""
    parts = urlsplit(base_url())
    return f"{parts.scheme}://{parts.netloc}{parts.path}?follow=1" if parts.netloc else "?follow=1"


def lead_controls() -> None:
    """The button with what the room needs: the code where it is wanted, the link, the QR code, the switch."""
    shared, who = following.shared(), visitor()
    leads = shared.is_led_by(who)
    label = f"Room: {num_followers()}" if leads else "Room"
    with st.popover(
        label, icon=":material/groups:", help="Let the room follow this window", key="kdviz.room"
    ):
        if not permissions().needs_code:
            st.markdown(
                "Letting a room follow needs a presenter's code, so that only you can lead it. Start the app "
                "with `KDVIZ_PRESENTER_CODE` set to a word of your choice."
            )
            return
        if not who.is_presenter:
            code_form("kdviz.lead")
            return
        if shared.is_led and not leads:
            st.button("Take over from the presenter who leads", on_click=_begin, args=(True,))
        elif not leads:
            st.button("Lead the room", type="primary", icon=":material/podium:", on_click=_begin)
        _way_in()
        if leads:
            fragment(_count, run_every=POLL_SECONDS)()
            st.button("Stop leading", icon=":material/stop:", on_click=_end)


def _way_in() -> None:
    """The code first: the box is as high as the window leaves it, and the room has to see the code whole."""
    link = room_link()
    st.image(qr(link), width=260, alt="QR code of the room's address, as written below it")
    st.markdown("Phones open this address:")
    st.code(link, language=None, wrap_lines=True)
    if urlsplit(link).hostname in LOCAL:
        st.caption(
            "This address works on this computer alone. Start the app with `--server.address 0.0.0.0` and "
            "open it by this computer's name or number in the network; then the code leads phones here."
        )


def _count() -> None:
    number = num_followers()
    st.markdown(f"{number} follow{'s' * (number == 1)}.")


def _begin(take_over: bool = False) -> None:
    """Lead from the next drawing of this window on; the place itself is sent there."""
    try:
        current = frame.current()
        params = current.to_params() | state.current().to_params()
        following.shared().lead(visitor(), current.page or "start", params, take_over=take_over)
        wake_followers()
    except RequestError as error:
        st.toast(str(error))


def _end() -> None:
    try:
        following.shared().end(visitor())
        wake_followers()
    except RequestError as error:
        st.toast(str(error))
