"""What a window shows instead of ordinary pages: the presenter's view, or the follower's."""

import streamlit as st

from kdviz.ui.frame import state
from kdviz.ui.present import frame


def open_stage() -> bool:
    """Draw the presenter's or the follower's window where the link asks for one. False: an ordinary page."""
    from kdviz.ui.frame.shell import hide_navigation

    asked = st.query_params
    if state.mode() not in (frame.PRESENT, frame.FOLLOW) and not ("present" in asked or "follow" in asked):
        return False
    notices = frame.read()
    mode = frame.current().mode
    if mode not in (frame.PRESENT, frame.FOLLOW):
        frame.keep(frame.Frame())
        return False
    hide_navigation()
    if mode == frame.PRESENT:
        for notice in notices:
            st.info(notice, icon=":material/info:")
        from kdviz.ui.present.presenter import present

        present()
    else:
        from kdviz.ui.present.follower import follow

        follow()
    return True
