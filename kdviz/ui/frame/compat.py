"""What kdviz relies on of Streamlit that it does not promise: all of it here, each with a canary in
tests/test_compat.py, test_turns.py or test_clicks.py that fails by name when an upgrade breaks it.

Names of the parts of a page (for style alone), waking the windows of others, what a piece of a page has sent
to its browser, the order in which a window's runs are told, whole and each from the top, how a click gives
way to the next, and how often the theme is read. Where a version lacks the second or third, `can_wake` and
`can_note` say so, and what stands on them, and on the last, does without: slower, not wrong.
"""

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from streamlit import config
from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.errors import StreamlitAPIException
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import app_session, get_instance
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.runtime.state import SafeSessionState

log = logging.getLogger("kdviz")

CAPTION = '[data-testid="stCaptionContainer"]'
MARKDOWN = '[data-testid="stMarkdownContainer"]'
BUTTON_GROUP = '[data-testid="stButtonGroup"]'
DROPDOWN = '[data-testid="stSelectboxVirtualDropdown"]'
SLIDER = '[data-testid="stSlider"]'
PROGRESS = '[data-testid="stProgress"]'
HEADER = '[data-testid="stHeader"]'
SIDEBAR = '[data-testid="stSidebar"]'
MAIN = '[data-testid="stMainBlockContainer"]'
BLOCK = '[data-testid="stVerticalBlock"]'
RUNNING = '[data-testid="stStatusWidgetRunningIcon"]'
PAGE_LINK = '[data-testid="stTopNavLink"]'
PARTS = (
    CAPTION, MARKDOWN, BUTTON_GROUP, DROPDOWN, SLIDER, PROGRESS, HEADER, SIDEBAR, MAIN, BLOCK, RUNNING,
    PAGE_LINK,
)  # fmt: skip
"""CSS selectors of parts of a page."""
SECONDS_BETWEEN_TRIES = 0.005
SECONDS_APART = 0.004
"""Windows are woken one after the other: all at once they would only hold each other up."""


def window_id() -> str:
    """Streamlit's name of this window's session; empty outside of one."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def came_by_history() -> bool:
    """Whether this run of the page was asked for by Back or Forward; False where a version does not say."""
    return bool(getattr(get_script_run_ctx(), "is_history_navigation", False))


def can_wake() -> bool:
    """Whether other windows can be woken by this version of Streamlit."""
    try:
        runtime = get_instance()
        return hasattr(runtime, "_session_mgr") and hasattr(runtime, "_get_async_objs")
    except RuntimeError:  # no server: a test without a browser
        return False


def still_open(windows: Sequence[str]) -> list[str]:
    """Those of these windows whose browser is there; all of them where that cannot be known."""
    if not can_wake():
        return list(windows)
    sessions = get_instance()._session_mgr
    return [name for name in windows if sessions.get_active_session_info(name) is not None]


def wake(windows: Sequence[str], part: str = "") -> None:
    """Let these windows draw themselves anew, one after the other from now on. Nothing where none can be.

    `part` is the key of a fragment: of a window that shows it, it alone is drawn.
    """
    if not windows or not can_wake():
        return
    runtime = get_instance()
    try:
        loop, sessions = runtime._get_async_objs().eventloop, runtime._session_mgr
    except (AttributeError, RuntimeError) as error:
        log.warning("other windows are not woken, they ask for themselves: %s", error)
        return

    def one(name: str) -> None:
        found = sessions.get_active_session_info(name)
        if found is not None:
            found.session.request_rerun(_for_part(found.session, part))

    def all_of_them() -> None:
        for place, name in enumerate(windows):
            loop.call_later(place * SECONDS_APART, one, name)

    loop.call_soon_threadsafe(all_of_them)


def _for_part(session: AppSession, part: str) -> ClientState | None:
    """The request for a fragment alone, as the window would send it; None asks for the whole page."""
    try:
        [fragment] = session._fragment_storage.resolve_target(part)
        asked = ClientState()
        asked.CopyFrom(session._client_state)
    except (AttributeError, ValueError, StreamlitAPIException):  # it is not shown, or a version lacks it
        return None
    asked.fragment_id = fragment
    return asked


def can_note() -> bool:
    """Whether what this window sends to its browser can be noted, and sent again."""
    return hasattr(get_script_run_ctx(), "_enqueue")


def noted(draw: Callable[[], None]) -> list[Any]:
    """`draw()`; the messages that it sent to this window's browser."""
    context, messages = get_script_run_ctx(), []
    send = context._enqueue

    def note(message: Any) -> None:
        messages.append(message)
        send(message)

    context._enqueue = note
    try:
        draw()
    finally:
        context._enqueue = send
    return messages


def send_again(messages: Sequence[Any]) -> None:
    """Send noted messages to this window's browser."""
    context = get_script_run_ctx()
    for message in messages:
        context._enqueue(message)


def holds_for_all(messages: Sequence[Any]) -> bool:
    """Whether the messages say all themselves: none refers to what its browser has already, none moves by
    itself.
    """
    return not any(message.HasField("ref_hash") or message.HasField("auto_rerun") for message in messages)


def let_each_run_be_heard() -> None:
    """Have a fragment's rerun wait until the run before it has been heard to its end.

    A run's messages stand in line behind what the server is busy with. When a fragment asks for its rerun
    just then, and the run's thread is done already, Streamlit takes a new thread, and gives up whatever the
    old one has left in line (its `AppSession.request_rerun` tells of it): the page shows for good what was
    before, though the session counts it as drawn. The busier the server, the more often.

    A fragment of the page that the visitor is just leaving must not call them back either: Streamlit takes
    the page from whoever asked last, and the click on the link is lost.
    """
    ask = AppSession.request_rerun
    if hasattr(ask, "__wrapped__"):
        return

    @wraps(ask)
    def ask_in_order(session: AppSession, client_state: Any) -> None:
        runner = session._scriptrunner
        if runner is None or client_state is None or not client_state.fragment_id:
            ask(session, client_state)
            return
        last, pages = runner._requests._rerun_data, session._pages_manager.get_pages()
        if client_state.page_script_hash != last.page_script_hash and last.page_script_hash in pages:
            client_state.page_script_hash, client_state.page_name = last.page_script_hash, last.page_name
            client_state.query_string = last.query_string
        if runner._requests._state == ScriptRequestType.STOP:
            session._event_loop.call_later(SECONDS_BETWEEN_TRIES, ask_in_order, session, client_state)
        else:
            ask(session, client_state)

    AppSession.request_rerun = ask_in_order


def tell_each_run_whole() -> None:
    """Have all that a run of the page has said reach the browser, though a fragment of it runs again before
    that is sent.

    Streamlit takes the fragment's part out of what waits to be sent, and sends the rest. The browser clears
    away what it has there of earlier runs, everything behind it moves up by one place, and what is said next
    meets the wrong place or none: another part of the page is gone, or the whole of it is, white. The busier
    the server, the more often.
    """
    clear = ForwardMsgQueue.clear
    if hasattr(clear, "__wrapped__"):
        return

    @wraps(clear)
    def clear_for_a_whole_page(
        queue: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: Any = None
    ) -> None:
        if fragment_ids_this_run:
            queue._delta_index_map = {}  # what waits is not changed into what is said from now on
        else:
            clear(queue, retain_lifecycle_msgs)

    ForwardMsgQueue.clear = clear_for_a_whole_page


def begin_each_run_at_the_top() -> None:
    """Have every run of a page begin at its top.

    A fragment that runs again goes to its own place, and stays there when it is done. When the page is asked
    for at that moment, Streamlit draws it with the same thread, from there on: the whole of it inside what is
    one part of it. The busier the server, the more often.
    """
    reset = ScriptRunContext.reset
    if hasattr(reset, "__wrapped__"):
        return

    @wraps(reset)
    def reset_and_go_to_the_top(context: ScriptRunContext, *args: Any, **more: Any) -> None:
        reset(context, *args, **more)
        context_dg_stack.set(get_default_dg_stack_value())

    ScriptRunContext.reset = reset_and_go_to_the_top


def carry_clicks_out_whole() -> None:
    """Have what a click asks for done to its end before the next request of its window is looked at.

    Streamlit looks for the next one in the midst of a callback too, wherever that asks the session for
    something, and then drops the callback and the click with it. What waits behind it is not dropped either:
    that is `runner.fastReruns = false` in .streamlit/config.toml.
    """
    run = SafeSessionState.on_script_will_rerun
    if hasattr(run, "__wrapped__"):
        return

    @wraps(run)
    def run_whole(state: SafeSessionState, *args: Any, **more: Any) -> None:
        give_way = state._yield_callback
        object.__setattr__(state, "_yield_callback", lambda: None)  # its own setter is the session's
        try:
            run(state, *args, **more)
        finally:
            object.__setattr__(state, "_yield_callback", give_way)

    SafeSessionState.on_script_will_rerun = run_whole


def read_the_theme_once() -> None:
    """Have the settings of the theme read once, and after each change of the configuration.

    Streamlit tells them to the browser with every run of every window, the smallest fragment's too, and looks
    through all of its settings for each of six sections: a third of what a run costs that draws nothing.
    """
    populate = getattr(app_session, "_populate_theme_msg", None)
    if populate is None or hasattr(populate, "__wrapped__"):
        return
    kept: dict[str, Any] = {}

    @wraps(populate)
    def populate_from_memory(message: Any, section: str = "theme") -> None:
        theme = kept.get(section)
        if theme is None:
            theme = type(message)()
            populate(theme, section)
            kept[section] = theme
        message.MergeFrom(theme)

    config.on_config_parsed(kept.clear, force_connect=True)
    app_session._populate_theme_msg = populate_from_memory
