"""What the Learn page, the presenter and the followers draw alike: a step's words."""

import streamlit as st

from kdviz.runs.reader import Run
from kdviz.share.lecture import Lecture, Step, safe_markdown
from kdviz.share.view import View
from kdviz.text import plain
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.store import task_title
from kdviz.ui.frame.words import count
from kdviz.ui.present import frame
from kdviz.ui.present.numbers import numbers

Shown = tuple[Run, View] | None


def words(found: Lecture, step: Step, shown: Shown, runs: list[Run]) -> None:
    """Title, text, what of it is not here, and the numbers worked out."""
    st.subheader(plain(step.title), anchor=False)
    st.markdown(safe_markdown(step.text))
    for notice in frame.unfilled(found, step, runs):
        st.info(notice, icon=":material/info:")
    if step.numbers and shown:
        with guarded("The numbers of this step"):
            numbers(step.numbers, *shown, runs)


def task(found: Lecture, step: Step, at: int, page: str, shown: Shown) -> None:
    """What to try, ticked off once it was done."""
    if not step.try_this:
        return
    done = frame.is_done(found, step, at, page, shown)
    mark = ":material/check_box: **Done:**" if done else ":material/check_box_outline_blank: **Try this:**"
    st.markdown(f"{mark} {safe_markdown(step.try_this)}")
    if done is None:
        st.caption("It cannot be done here: there is no run of the kind that it asks for.")


def whose(shown: Shown) -> None:
    """Whose numbers these are, in one line."""
    if not shown:
        return
    run, data = shown[0], shown[0].config.get("data", {})
    source = "sample data, not GLUE" if run.is_sample_data else "real data"
    st.caption(
        f"{plain(task_title(run.task))}, {source}, n = {count(data.get('num_eval', 0))}, one run, "
        f"seed {run.seed}" + (" (stored demo)" if run.is_demo else f" ({plain(run.id)})")
    )


def chosen_answer(step: Step) -> None:
    """The hidden answer, for who reads alone."""
    if step.question:
        st.markdown(f"**{safe_markdown(step.question)}**")
        with st.expander("Show the answer"):
            st.markdown(safe_markdown(step.answer))
