"""The frame around the pages: which there are, and how the app opens."""

from functools import lru_cache
from pathlib import Path
from types import CodeType
from urllib.parse import unquote, urlsplit

import streamlit as st

from kdviz.errors import RequestError
from kdviz.files import Stamp, stamp_of
from kdviz.pages import FOLDER, PAGES
from kdviz.paths import runs_folder
from kdviz.text import plain, plain_reason
from kdviz.ui.frame.compat import BUTTON_GROUP, CAPTION, DROPDOWN, MARKDOWN, PAGE_LINK, RUNNING, SLIDER
from kdviz.ui.frame.history import one_entry_a_choice
from kdviz.ui.frame.screen import ask_screen, is_narrow
from kdviz.ui.frame.turns import turns
from kdviz.ui.frame.warm import warm
from kdviz.ui.frame.wish import carry_out_before

STYLE = f"""<style>
{CAPTION} {{ opacity: 0.8 !important; }}
{CAPTION}, {CAPTION} p, {BUTTON_GROUP} button, {BUTTON_GROUP} button *,
{SLIDER} * {{ color: inherit !important; }}
{BUTTON_GROUP} div {{ flex-wrap: wrap !important; }}
div:has(> {DROPDOWN}), {DROPDOWN} {{ min-width: min(36rem, 92vw) !important; }}
{MARKDOWN}:has(> table, > div > table) {{ overflow-x: auto; }}
{RUNNING} ~ * {{ display: none; }}
{PAGE_LINK}:focus-visible {{ outline: 3px solid currentColor !important; outline-offset: -3px; }}
</style>"""
"""Streamlit's captions, chosen buttons and slider values have a contrast below 4.5 : 1 in one theme or both;
its lists are as narrow as their control, which cuts what tells runs and sentences apart; rows of buttons hide
what does not fit; a table that is wider than a phone moves the whole page sideways; the link to a page that
has the keyboard's focus looks like one under the mouse. Beside the sign that a page is being drawn, over the
Stop of a run, it offers a Stop that ends the drawing: who pressed it would take the run for stopped. A
constant text of our own.
"""
_OPENED, _PAGE = "kdviz.opened", "kdviz.page"


def open_app() -> None:
    """Draw the navigation and the page asked for, or the frame of a presentation. The whole of app.py."""
    with turns.turn():
        _draw()


def _draw() -> None:
    from kdviz.ui.present.frame import leave_learn
    from kdviz.ui.present.stage import open_stage

    st.set_page_config(
        page_title="kdviz: seeing knowledge distillation", layout="wide", initial_sidebar_state="collapsed"
    )
    st.session_state[_OPENED] = True
    top = st.container()  # what comes and goes in it moves nothing below: that would be drawn anew
    top.html(STYLE)
    one_entry_a_choice()
    _stop_without_runs_folder()
    if not open_stage():
        page = _navigation("hidden" if is_narrow() else "top")
        st.session_state[_PAGE] = page.url_path or PAGES[0]
        if is_narrow():
            with top:
                _menu()
        _say_unknown_page()
        if page_name() != "learn":
            leave_learn()
        carry_out_before(page_name())
        page.run()
    ask_screen()
    warm()


def _stop_without_runs_folder() -> None:
    """One line instead of every page, where what the host set can be no folder."""
    try:
        runs_folder()
    except RequestError as error:
        hide_navigation()
        st.error(plain_reason(str(error)), icon=":material/folder_off:")
        st.stop()


def _menu() -> None:
    """The pages behind one labelled button: on a phone Streamlit's own navigation is an unnamed arrow."""
    with st.popover("Menu", icon=":material/menu:"):
        for name in PAGES:
            if has_page(name):
                st.page_link(page_path(name), label=name.capitalize())


def _say_unknown_page() -> None:
    """Where the address names a page that there is not, Streamlit shows the first page without a word."""
    asked = unknown_page(str(st.context.url or ""), str(st.get_option("server.baseUrlPath") or ""))
    if not asked:
        return
    name = asked.lower()
    st.warning(
        f"There is no page {plain(asked[:40])} here"
        + (": the address is written in small letters." if name in PAGES else "; this is the first page."),
        icon=":material/search_off:",
    )
    if name in PAGES and has_page(name):
        st.page_link(page_path(name), label=f"Open {name.capitalize()}", icon=":material/arrow_forward:")


def unknown_page(url: str, base_path: str) -> str:
    """What an address asks for behind the server's base path, where it is no page; "" where it is one."""
    path, base = unquote(urlsplit(url).path).strip("/"), base_path.strip("/")
    asked = path.removeprefix(base).strip("/") if base else path
    return "" if asked in PAGES or not asked else asked


def page_name() -> str:
    """The page that is open (`attention`)."""
    return st.session_state.get(_PAGE, PAGES[0])


def hide_navigation() -> None:
    """Let a presentation have the whole window."""
    _navigation("hidden")


def draw_page(name: str) -> None:
    """Draw a page inside another, in the container at hand, as Streamlit runs a page's script."""
    carry_out_before(name)
    path = FOLDER / f"{name}.py"
    exec(_code(path, stamp_of(path)), {"__name__": "kdviz.page", "__file__": str(path)})


@lru_cache(maxsize=32)
def _code(path: Path, stamp: Stamp) -> CodeType:
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


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
    _stop_without_runs_folder()


def _navigation(position: str = "top"):
    pages = [
        st.Page(
            FOLDER / f"{name}.py",
            title=name.capitalize(),
            url_path="" if name == PAGES[0] else name,
            default=name == PAGES[0],
        )
        for name in PAGES
        if has_page(name)
    ]
    return st.navigation(pages, position=position)
