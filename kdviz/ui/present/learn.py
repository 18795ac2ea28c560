"""The Learn page: a lecture at home. Text on the left, the live view on the right."""

from dataclasses import replace

import streamlit as st

from kdviz.errors import RequestError
from kdviz.share.lecture import Lecture, shelf
from kdviz.text import plain
from kdviz.ui.frame.shell import draw_page, through_app
from kdviz.ui.frame.store import long_name
from kdviz.ui.present import frame
from kdviz.ui.present.glossary import glossary
from kdviz.ui.present.parts import chosen_answer, task, whose, words
from kdviz.ui.present.top import begin_at_top

WIDTHS = (1, 2.4)


def learn() -> None:
    """The whole page."""
    through_app()
    notices = frame.read(is_learn=True)
    for notice in notices:
        st.info(notice, icon=":material/info:")
    said = dict.fromkeys(str(error) for error in shelf().refused)
    found = None
    try:
        found = frame.lecture()
    except RequestError as error:
        said[str(error)] = None
    for reason in said:
        st.warning(plain(reason), icon=":material/menu_book:")
    if found is None:
        st.button("Take the tour instead", type="primary", on_click=_choose_lecture, args=("the-paper",))
        return
    page = frame.take_page()
    runs = frame.all_runs()
    shown = frame.seen(runs)
    at, step = frame.step_of(found)
    text, view = st.columns(WIDTHS, gap="medium")
    with text:
        _progress(found, at)
        with (
            st.container()
        ):  # however much a step says, the buttons keep their place and the keyboard's focus
            words(found, step, shown, runs)
            task(found, step, at, page, shown)
            chosen_answer(step)
            whose(shown)
        _steps(found, at)
        _more(found, runs)
        begin_at_top(found.name, at)
    with view:
        draw_page(page)


def _progress(found: Lecture, at: int) -> None:
    st.progress(at / len(found.steps), text=f"{plain(found.title)} · step {at} of {len(found.steps)}")


def _steps(found: Lecture, at: int) -> None:
    with st.container(horizontal=True):
        st.button(
            "Back",
            icon=":material/arrow_back:",
            disabled=at == 1,
            on_click=frame.show_step,
            args=(at - 1,),
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            type="primary",
            disabled=at == len(found.steps),
            on_click=frame.show_step,
            args=(at + 1,),
        )
        st.button(
            "This step's own view",
            icon=":material/replay:",
            on_click=frame.show_step,
            args=(at,),
            help="Undo what you changed on the right.",
        )


def _more(found: Lecture, runs: list) -> None:
    """The steps by name, other lectures, whose figures, presenting, and the words used."""
    with st.expander("All steps"):
        for number, each in enumerate(found.steps, start=1):
            st.button(
                f"{number}. {plain(each.title)}",
                key=f"kdviz.step.{number}",
                type="tertiary",
                on_click=frame.show_step,
                args=(number,),
            )
    with st.expander("Lecture, figures, presenting"):
        lectures = {lecture.name: lecture.title for lecture in shelf().lectures}
        if len(lectures) > 1:
            names = list(lectures)
            st.selectbox(
                "Lecture",
                names,
                index=names.index(found.name),
                format_func=lectures.__getitem__,
                key="kdviz.lecture.choice",
                on_change=lambda: _choose_lecture(st.session_state["kdviz.lecture.choice"]),
            )
        own = [run for run in runs if not run.is_demo and run.task == found.task and run.moments]
        if own:
            names = {None: "the stored demo"} | {run.id: long_name(run) for run in own}
            st.selectbox(
                "Figures of",
                list(names),
                index=list(names).index(frame.current().own) if frame.current().own in names else 0,
                format_func=names.__getitem__,
                key="kdviz.lecture.own",
                on_change=_choose_own,
                help="The texts speak of the stored demo; your own run may show something else.",
            )
        st.button("Present this lecture", icon=":material/co_present:", on_click=_present)
    with st.expander("The words"):
        st.markdown(glossary())


def _choose_lecture(name: str) -> None:
    frame.keep(replace(frame.current(), lecture=name))
    frame.show_step(1)


def _choose_own() -> None:
    frame.keep(replace(frame.current(), own=st.session_state["kdviz.lecture.own"]))
    frame.show_step(frame.current().at)


def _present() -> None:
    frame.keep(replace(frame.current(), mode=frame.PRESENT))
