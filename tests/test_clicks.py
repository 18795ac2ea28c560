"""Between the browser and the page no click is lost: Streamlit's runtime as this project sets it up, and a
window that asks as a browser does, at the moments at which Streamlit alone would drop one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, SessionClient
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state import SafeSessionState
from windows import runtime_of

from kdviz.ui.frame.compat import carry_clicks_out_whole, let_each_run_be_heard

SCRIPT = """
import time

import streamlit as st


def note(word):
    time.sleep(0.3)
    st.session_state["last"] = word
    with open({noted!r}, "a") as file:
        file.write(word)


@st.fragment(run_every=60)
def refreshed():
    st.button("inside", on_click=note, args=("i",))
    time.sleep(0.3)
    st.write("the fragment")


refreshed()
st.button("outside", on_click=note, args=("o",))
time.sleep(0.3)
st.write("the end")
"""

PAGES = """
import time

import streamlit as st


@st.fragment(run_every=60)
def refreshed():
    time.sleep(0.2)
    st.write("the fragment")


def left():
    refreshed()
    time.sleep(0.5)


def gone_to():
    st.write("the page gone to")


st.navigation([st.Page(left, default=True), st.Page(gone_to)]).run()
"""


class Window(SessionClient):
    """What a browser keeps: the page's buttons and its fragment, the pages there are and those it was told to
    show, and whether its script is at rest.
    """

    def __init__(self, runtime: Runtime):
        self.buttons: dict[str, str] = {}
        self.fragment, self.is_at_rest = "", asyncio.Event()
        self.pages: list[str] = []
        self.shown: list[str] = []
        self._runtime, self._name = runtime, runtime.connect_session(self, {})

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        kind = msg.WhichOneof("type")
        element = msg.delta.new_element if kind == "delta" else None
        if kind == "script_finished" and msg.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.is_at_rest.set()
        elif kind == "new_session":
            self.shown.append(msg.new_session.page_script_hash)
        elif kind == "navigation":
            self.pages = [page.page_script_hash for page in msg.navigation.app_pages]
        elif kind == "auto_rerun":
            self.fragment = msg.auto_rerun.fragment_id
        elif element is not None and element.WhichOneof("type") == "button":
            self.buttons[element.button.label] = element.button.id

    def ask(self, *, click: str = "", fragment: str = "", page: str = "") -> None:
        """A rerun of the page, or of this fragment, with a click on the button of this label."""
        message = BackMsg()
        message.rerun_script.page_script_hash = page
        message.rerun_script.fragment_id = fragment
        if click:
            message.rerun_script.widget_states.widgets.add(id=self.buttons[click], trigger_value=True)
        else:
            message.rerun_script.widget_states.SetInParent()
        self._runtime.handle_backmsg(self._name, message)


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs what a visitor does in a window that has come to rest; returns what the callbacks noted."""
    script, noted = tmp_path / "page.py", tmp_path / "noted"
    config.get_config_options(force_reparse=True)
    monkeypatch.setattr(AppSession, "request_rerun", AppSession.request_rerun)
    let_each_run_be_heard()
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", SafeSessionState.on_script_will_rerun)
    carry_clicks_out_whole()
    monkeypatch.setattr(Runtime, "_instance", None)
    runtime = runtime_of(script)

    async def all_of_it(does: Callable[[Window], Awaitable]) -> None:
        await runtime.start()
        window = Window(runtime)
        window.ask()
        await asyncio.wait_for(window.is_at_rest.wait(), 30)
        await asyncio.sleep(0.2)  # the thread of its script ends
        window.is_at_rest.clear()
        await does(window)
        await asyncio.wait_for(window.is_at_rest.wait(), 30)
        runtime.stop()
        await runtime.stopped

    def run(does: Callable[[Window], Awaitable], page: str = SCRIPT) -> str:
        script.write_text(page.format(noted=str(noted)), encoding="utf-8")
        asyncio.run(all_of_it(does))
        return noted.read_text() if noted.exists() else ""

    return run


def test_a_click_that_waits_for_a_refresh_outlives_the_next_click(visit):
    """Stop, pressed while the live view refreshes, and a page right behind it: the run would go on."""

    async def does(window: Window) -> None:
        window.ask(fragment=window.fragment)
        await asyncio.sleep(0.1)
        window.ask(click="inside", fragment=window.fragment)
        await asyncio.sleep(0.05)
        window.ask()

    assert visit(does) == "i"


@pytest.mark.parametrize("seconds", [0, 0.1])
def test_a_click_is_carried_out_whole_whatever_comes_behind_it(visit, seconds):
    """The next click cuts the answer to this one short, before or in the midst of what it asks for."""

    async def does(window: Window) -> None:
        window.ask(click="outside")
        await asyncio.sleep(seconds)
        window.ask()

    assert visit(does) == "o"


def test_two_quick_clicks_are_both_carried_out(visit):
    """Of Stop and Resume, one would be left to be pressed again by whoever notices."""

    async def does(window: Window) -> None:
        window.ask(click="inside", fragment=window.fragment)
        window.ask(click="outside")

    assert sorted(visit(does)) == ["i", "o"]


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_fragment_of_the_page_that_is_left_does_not_call_the_visitor_back(visit, seconds):
    """A click on a link would be lost when it meets a refresh."""
    shown: list[str] = []

    async def does(window: Window) -> None:
        left, gone_to = window.pages
        window.ask(page=left)
        await asyncio.sleep(0.1)
        window.ask(page=gone_to)
        await asyncio.sleep(seconds)
        window.ask(fragment=window.fragment, page=left)
        await asyncio.sleep(2)
        shown.extend([page == gone_to for page in window.shown])

    visit(does, PAGES)
    assert shown[-1] and shown == sorted(shown)
