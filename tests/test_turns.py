"""Many windows at once: they draw in turn, and what each says is heard."""

import ast
import asyncio
import sys
import threading
from pathlib import Path

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import SessionClient
from windows import runtime_of

from kdviz.ui.frame.compat import let_each_run_be_heard
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
    """A browser that notes what it is told."""

    texts: list[str]
    fragment = ""

    def __init__(self):
        self.texts, self.is_at_rest = [], asyncio.Event()

    def write_forward_msg(self, message) -> None:
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self.texts.append(message.delta.new_element.markdown.body)
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


def test_a_run_is_heard_to_its_end_before_a_fragment_runs_again(monkeypatch, tmp_path):
    """A page that has changed would go on showing what was before: a run that was stopped as running, the
    presenter's last step as the one shown.
    """
    monkeypatch.setattr(Runtime, "_instance", None)
    monkeypatch.setattr(AppSession, "request_rerun", AppSession.request_rerun)
    monkeypatch.setitem(sys.modules, "test_turns", sys.modules[__name__])
    script = tmp_path / "app.py"
    script.write_text(HASTE, encoding="utf-8")
    let_each_run_be_heard()
    runtime = runtime_of(script)

    async def visit() -> list[str]:
        await runtime.start()
        browser = Browser()
        name = runtime.connect_session(browser, {})
        session = runtime._session_mgr.get_active_session_info(name).session
        _window.update(browser=browser, session=session, loop=asyncio.get_running_loop())
        for _ in range(2):
            browser.is_at_rest.clear()
            session.request_rerun(None)
            await asyncio.wait_for(browser.is_at_rest.wait(), 30)
        for _ in range(600):
            if browser.texts.count("a part") == 3:
                break
            await asyncio.sleep(0.05)
        runtime.stop()
        await runtime.stopped
        return browser.texts

    assert asyncio.run(visit()) == ["a part", "run 1", "a part", "run 2", "a part"]
