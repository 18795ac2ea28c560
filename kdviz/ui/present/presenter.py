"""Presenter mode: a step and its live view, readable from the last row; keys instead of a menu."""

from dataclasses import replace

import streamlit as st

from kdviz.errors import RequestError
from kdviz.jobs import following
from kdviz.share.lecture import Lecture, Step, safe_markdown
from kdviz.text import plain
from kdviz.ui.frame import state
from kdviz.ui.frame.identity import visitor
from kdviz.ui.frame.shell import draw_page, page_path
from kdviz.ui.present import frame
from kdviz.ui.present.large import ASKED_FOR, enlarge
from kdviz.ui.present.parts import task as task_of
from kdviz.ui.present.parts import whose, words
from kdviz.ui.present.questions import ANSWER, presenter_question, question_key
from kdviz.ui.present.room import lead_controls
from kdviz.ui.present.top import begin_at_top
from kdviz.ui.present.wire import wake_followers

WIDTHS = (1, 2.1)
_NOTES, _LEAVE = "kdviz.notes", "kdviz.leave"


def present() -> None:
    """The whole window."""
    if st.session_state.pop(_LEAVE, False):
        page = frame.current().page or "start"
        frame.keep(frame.Frame())
        st.switch_page(page_path(page))
    enlarge()
    try:
        found = frame.lecture()
    except RequestError as error:
        st.warning(plain(str(error)), icon=":material/menu_book:")
        _bar(None, 1)
        return
    page = frame.take_page()
    runs = frame.all_runs()
    shown = frame.seen(runs)
    _lead(page)
    if found is None:
        _bar(None, 1)
        draw_page(page)
        return
    at, step = frame.step_of(found)
    st.progress(at / len(found.steps))
    text, view = st.columns(WIDTHS, gap="medium")
    with text:
        words(found, step, shown, runs)
        task_of(found, step, at, page, shown)
        _question(found, step)
        _bar(found, at)
        _asked_for(found, step)
        whose(shown)
        begin_at_top(found.name, at)
    with view:
        draw_page(page)


def _bar(found: Lecture | None, at: int) -> None:
    """Keys that can be clicked too."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="kdviz.bar"):
        if found:
            last = len(found.steps)
            st.button(
                "",
                key="kdviz.bar.back",
                icon=":material/arrow_back:",
                shortcut="Left",
                disabled=at == 1,
                on_click=_move,
                args=(at - 1,),
                help="The step before (←)",
            )
            st.markdown(f"{at} / {last}")
            st.button(
                "",
                key="kdviz.bar.next",
                icon=":material/arrow_forward:",
                shortcut="Right",
                disabled=at == last,
                on_click=_move,
                args=(at + 1,),
                help="The next step (→)",
            )
            st.button(
                "",
                key="kdviz.bar.notes",
                icon=":material/speaker_notes:",
                shortcut="N",
                on_click=_toggle,
                args=(_NOTES,),
                help="Speaker notes (N)",
            )
        lead_controls()
        st.button(
            "",
            key="kdviz.bar.leave",
            icon=":material/close:",
            shortcut="Escape",
            on_click=_leave,
            help="Leave presenter mode (Esc)",
        )


def _move(at: int) -> None:
    st.session_state.pop(ANSWER, None)
    frame.show_step(at)


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key, False)


def _show_answer(key: str | None) -> None:
    st.session_state[ANSWER] = key


def _leave() -> None:
    st.session_state[_LEAVE] = True


def _question(found: Lecture, step: Step) -> None:
    """The question, what the room answers, and the key to the answer."""
    if not step.question:
        return
    st.markdown(f"**{safe_markdown(step.question)}**")
    is_shown = _is_answered(found, step)
    presenter_question(found, step)
    st.button(
        "Hide the answer" if is_shown else "Answer",
        key="kdviz.bar.answer",
        shortcut="A",
        on_click=_show_answer,
        args=(None if is_shown else question_key(found, step),),
        help="Show or hide the answer (A)",
    )


def _is_answered(found: Lecture, step: Step) -> bool:
    return bool(step.question) and st.session_state.get(ANSWER) == question_key(found, step)


def _asked_for(found: Lecture, step: Step) -> None:
    """The answer and the notes, where a key asked for them."""
    is_answered = _is_answered(found, step)
    notes = step.notes if st.session_state.get(_NOTES) else ""
    if is_answered or notes:
        with st.container(key=ASKED_FOR):
            if is_answered:
                st.markdown(safe_markdown(step.answer))
            if notes:
                st.info(safe_markdown(notes), icon=":material/speaker_notes:")


def _lead(page: str) -> None:
    """Let the room see what is shown here, where this window leads it."""
    room, who = following.shared(), visitor()
    if not room.is_led_by(who):
        return
    params = state.current().to_params()  # what is left open, every window of this server chooses alike
    before = room.version
    room.lead(who, page, replace(frame.current(), page=page).to_params() | params)
    if room.version != before:
        wake_followers()


def present_this(page: str) -> None:
    """From a callback: present the ordinary view that is open, without a lecture."""
    frame.keep(frame.Frame(mode=frame.PRESENT, lecture=frame.THIS, page=page))
