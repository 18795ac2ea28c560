"""Many windows at once: they draw in turn, and what each says is heard."""

import ast
import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner import RerunData, ScriptRunner, ScriptRunnerEvent
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.runtime.session_manager import SessionClient
from windows import runtime_of

from kdviz.ui.frame.compat import begin_each_run_at_the_top, let_each_run_be_heard, tell_each_run_whole
from kdviz.ui.frame.turns import Turns

ROOT = Path(__file__).parents[1]
HASTE = """
import threading

import streamlit as st
from test_turns import meet

@st.fragment
def part():
    st.markdown("a part")

part()
st.session_state.runs = st.session_state.get("runs", 0) + 1
if st.session_state.runs == 2:
    meet(threading.current_thread())
st.markdown(f"run {st.session_state.runs}")
"""
"""In its second run a window's fragment asks again after the run's thread is done and before it is heard."""
CROWD = """
import threading

import streamlit as st
from test_turns import crowd

@st.fragment
def part():
    st.markdown("a part")

st.session_state.runs = st.session_state.get("runs", 0) + 1
if st.session_state.runs == 2:
    crowd(threading.current_thread())
part()
st.markdown(f"run {st.session_state.runs}")
"""
"""In its second run a window's fragment asks again, and both runs are done before anything is sent."""
LATE = """
import streamlit as st
from test_turns import ask_behind

@st.fragment
def part():
    st.session_state.parts = st.session_state.get("parts", 0) + 1
    if st.session_state.parts == 2:
        ask_behind()
    st.markdown("a part")

with st.container():
    part()
st.session_state.runs = st.session_state.get("runs", 0) + 1
st.markdown(f"run {st.session_state.runs}")
"""
"""When its fragment has been drawn again, a window asks for its page before the thread of that is gone."""


def test_a_few_draw_at_the_same_time():
    """Two hundred at once would each wait 5 ms for every other whenever they read a file."""
    turns, lock, at_once, most = Turns(2), threading.Lock(), [], []
    arrived = threading.Barrier(8)

    def draw() -> None:
        arrived.wait(30)
        with turns.turn():
            with lock:
                at_once.append(1)
                most.append(len(at_once))
            threading.Event().wait(0.01)
            with lock:
                at_once.pop()

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 8 and max(most) == 2


def test_a_part_of_a_page_draws_in_the_turn_of_its_page_and_a_fault_gives_it_back():
    """A page whose fragment waits for a turn of its own would wait for ever; so would all after a fault."""
    turns = Turns(1)
    for _ in range(2):
        with pytest.raises(KeyError), turns.turn(), turns.turn():
            raise KeyError
    taken = threading.Event()

    def draw() -> None:
        with turns.turn():
            taken.set()

    threading.Thread(target=draw).start()
    assert taken.wait(30)


def test_who_does_something_long_lets_others_draw():
    """Three visitors who ask a model that is still being read would keep the page from two hundred others."""
    turns, is_drawn = Turns(1), threading.Event()

    def draw() -> None:
        with turns.turn():
            is_drawn.set()

    with turns.turn():
        with turns.aside():
            threading.Thread(target=draw).start()
            assert is_drawn.wait(30)
        is_drawn.clear()
        threading.Thread(target=draw).start()
        assert not is_drawn.wait(0.2), "the turn was not taken back"
    assert is_drawn.wait(30)
    with turns.aside(), turns.turn():
        pass


def test_every_fragment_draws_in_turn():
    """One that does not would draw with two hundred others at once."""
    files = [*(ROOT / "kdviz" / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    direct = [
        file.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "fragment"
    ]
    assert direct == ["turns.py"]


class Browser(SessionClient):
    """A browser that notes what it is told, and where in the page that stands."""

    texts: list[str]
    places: dict[str, tuple[int, ...]]
    fragment = ""

    def __init__(self):
        self.texts, self.places, self.is_at_rest = [], {}, asyncio.Event()

    def write_forward_msg(self, message) -> None:
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            text = message.delta.new_element.markdown.body
            self.texts.append(text)
            self.places[text] = tuple(message.metadata.delta_path)
            self.fragment = message.delta.fragment_id or self.fragment
        elif kind == "script_finished":
            self.is_at_rest.set()


_window: dict = {}


def meet(script: threading.Thread) -> None:
    """Keep the server busy until the script is done; then the fragment of its window asks."""

    def busy() -> None:
        script.join(30)
        state = ClientState(fragment_id=_window["browser"].fragment, is_auto_rerun=True)
        _window["session"].request_rerun(state)

    _window["loop"].call_soon_threadsafe(busy)


def crowd(script: threading.Thread) -> None:
    """The fragment of its window asks while the script runs; then the server is busy until that is done."""
    has_asked = threading.Event()

    def busy() -> None:
        state = ClientState(fragment_id=_window["browser"].fragment, is_auto_rerun=True)
        _window["session"].request_rerun(state)
        has_asked.set()
        script.join(30)

    _window["loop"].call_soon_threadsafe(busy)
    assert has_asked.wait(30)


def ask_behind() -> None:
    """Ask for the page as soon as the thread that calls has done what it does now."""

    def ask(runner: ScriptRunner, event: ScriptRunnerEvent, **_: object) -> None:
        if event == ScriptRunnerEvent.FRAGMENT_STOPPED_WITH_SUCCESS:
            runner.on_event.disconnect(ask)
            runner.request_rerun(RerunData())

    _window["session"]._scriptrunner.on_event.connect(ask, weak=False)


@pytest.fixture
def visit(monkeypatch, tmp_path):
    """Opens a window on the app of this text, does something in it, and gives what its browser was told."""
    monkeypatch.setattr(Runtime, "_instance", None)
    for owner, name in (
        (AppSession, "request_rerun"),
        (ForwardMsgQueue, "clear"),
        (ScriptRunContext, "reset"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setitem(sys.modules, "test_turns", sys.modules[__name__])

    async def open_window(script: Path, do: Callable[[AppSession, Browser], Awaitable[None]]) -> Browser:
        runtime = runtime_of(script)
        await runtime.start()
        browser = Browser()
        name = runtime.connect_session(browser, {})
        session = runtime._session_mgr.get_active_session_info(name).session
        _window.update(browser=browser, session=session, loop=asyncio.get_running_loop())
        await do(session, browser)
        runtime.stop()
        await runtime.stopped
        return browser

    def visit(text: str, do: Callable[[AppSession, Browser], Awaitable[None]]) -> Browser:
        script = tmp_path / "app.py"
        script.write_text(text, encoding="utf-8")
        return asyncio.run(open_window(script, do))

    return visit


async def draw(session: AppSession, browser: Browser, fragment: str = "") -> None:
    """Have the page drawn, or this fragment of it, to the end."""
    browser.is_at_rest.clear()
    state = ClientState(fragment_id=fragment, is_auto_rerun=True) if fragment else None
    session.request_rerun(state)
    await asyncio.wait_for(browser.is_at_rest.wait(), 30)


async def told(browser: Browser, text: str, times: int) -> None:
    """Until the browser has been told this so often, or for 30 s."""
    for _ in range(600):
        if browser.texts.count(text) == times:
            break
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("text", [HASTE, CROWD])
def test_a_run_is_heard_to_its_end_before_a_fragment_runs_again(text, visit):
    """A page that has changed would go on showing what was before: a run that was stopped as running, the
    presenter's last step as the one shown. Or it would turn white, where a part of it that was never sent is
    looked for.
    """
    let_each_run_be_heard()
    tell_each_run_whole()  # on a busy machine what was heard is not always sent before the fragment asks

    async def twice(session: AppSession, browser: Browser) -> None:
        await draw(session, browser)
        await draw(session, browser)
        await told(browser, "a part", 3)

    assert visit(text, twice).texts == ["a part", "run 1", "a part", "run 2", "a part"]


def test_a_page_drawn_right_behind_a_fragment_stands_where_it_stood(visit):
    """It would be drawn once more, inside the place of the fragment, and the browser lose the rest."""
    begin_each_run_at_the_top()

    async def page_and_part(session: AppSession, browser: Browser) -> None:
        await draw(session, browser)
        await draw(session, browser, browser.fragment)
        await told(browser, "run 2", 1)

    places = visit(LATE, page_and_part).places
    assert places["run 1"] == places["run 2"]
