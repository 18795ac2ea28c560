"""The frame around the pages: which there are, and how the app opens."""

from pathlib import Path

import streamlit as st

from kdviz.ui.frame.screen import ask_screen
from kdviz.ui.frame.warm import warm

FOLDER = Path(__file__).parents[3] / "pages"
PAGES = (
    "start",
    "distil",
    "attention",
    "layers",
    "answers",
    "studies",
    "learn",
)  # in the order of the navigation
_OPENED = "kdviz.opened"


def open_app() -> None:
    """Draw the navigation and the page asked for. The whole of app.py."""
    st.set_page_config(
        page_title="kdviz: seeing knowledge distillation", layout="wide", initial_sidebar_state="collapsed"
    )
    st.session_state[_OPENED] = True
    _navigation().run()
    ask_screen()
    warm()


def page_path(name: str) -> str:
    """A page for `st.switch_page` and `st.page_link`."""
    return str(FOLDER / f"{name}.py")


def has_page(name: str) -> bool:
    return (FOLDER / f"{name}.py").exists()


def through_app() -> None:
    """Make sure that a page runs inside the app.

    Streamlit takes a folder named pages/ for its older kind of app until st.navigation was called once in the
    process. If the first visitor of a server opens the link of a page, it therefore runs that page without
    app.py: call it, and start again.
    """
    if _OPENED not in st.session_state:
        st.session_state[_OPENED] = True
        _navigation()
        st.rerun()


def _navigation():
    pages = [
        st.Page(
            FOLDER / f"{name}.py",
            title=name.capitalize(),
            url_path="" if name == "start" else name,
            default=name == "start",
        )
        for name in PAGES
        if has_page(name)
    ]
    return st.navigation(pages, position="top")
