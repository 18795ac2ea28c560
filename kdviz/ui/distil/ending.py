"""What a run came to, and the doors to it: it stays in sight when the queue goes on; a run that was stopped
is taken up where it is shown, and one that a server left behind at the top of the page.
"""

from collections.abc import Sequence

import streamlit as st

from kdviz.analysis.divergence import divergence
from kdviz.runs.names import short_name
from kdviz.share.live import Board, Row
from kdviz.ui.distil.badge import run_title
from kdviz.ui.distil.board import board, resume
from kdviz.ui.distil.numbers import run_numbers
from kdviz.ui.distil.words import STATE_WORDS
from kdviz.ui.frame import identity, state
from kdviz.ui.frame.labels import said
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.store import task_title

MOST_RESUMES = 3
BROKEN_OFF = ("stopped", "failed")
"""Ended by somebody or by itself, not with its server: those have their Resume on top of the page."""


def ending(row: Row, name: str = "see") -> None:
    """What a run that does not go on came to, in one line, and where to look at it. `name` tells the buttons
    of several cards apart.
    """
    if row.state in ("running", "stopping"):
        return
    status = row.run.status
    reason = row.note or status.get("error")
    if row.state == "failed" or (row.note and row.state != "finished"):
        kept = " What it recorded until then can be looked at." if row.run.probe_lines else ""
        st.warning(
            f"This run ended early: {said(str(reason or 'no reason was written'))}.{kept}",
            icon=":material/error:",
        )
    if diverged := divergence(row.run):
        st.warning(
            f"This training **diverged**: {plain(diverged)}. A lower learning rate keeps it together; no "
            "mean and no verdict counts this run.",
            icon=":material/trending_up:",
        )
    _doors(row, name)
    state.leave_if_asked()


def _doors(row: Row, name: str) -> None:
    """Resume of a run that was broken off, and the pages that show what it recorded."""
    may_go_on = row.state in BROKEN_OFF and not identity.permissions().refusal(
        "resume", identity.visitor(), row.run.config
    )
    with st.container(horizontal=True, gap="small"):
        if may_go_on:
            st.button(
                "Resume this run",
                key=f"distil.{name}.resume",
                icon=":material/play_arrow:",
                on_click=resume,
                args=(row.run.id,),
                help="It goes on from its last whole epoch",
            )
        if row.run.probe_lines:
            for page, words in (
                ("attention", "See its maps"),
                ("layers", "Its layers"),
                ("answers", "Its answers"),
            ):
                st.button(
                    words,
                    key=f"distil.{name}.{page}",
                    on_click=_look,
                    args=(row.run.id, page),
                    type="primary" if page == "attention" else "secondary",
                )


def _look(run_id: str, page: str) -> None:
    state.change(run=run_id, step=None)
    state.go_to(page)


def result_card(now: Board, shown: Sequence[Row]) -> None:
    """The run that ended last, while others go on (`shown`: one, or those that are trained together) that
    were asked for before that end: with a queue the result would be gone from the page the moment it is
    there.
    """
    if not any(row.is_active for row in shown):
        return
    asked = max(str(row.run.config.get("created") or "") for row in shown)
    here = {row.run.id for row in shown}
    ended = [
        row
        for row in now.rows
        if row.state == "finished"
        and row.run.id not in here
        and str(row.run.status.get("finished") or "") > asked
    ]
    if not asked or not ended:
        return
    row = max(ended, key=lambda row: str(row.run.status["finished"]))
    with st.container(border=True, key="distil.result"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            run_title(row)
        run_numbers(row.run)
        ending(row, "result")


def was_interrupted(row: Row) -> bool:
    """Whether the run says so itself: of one whose status cannot be read nobody knows how it ended."""
    return row.state == "interrupted" and row.run.status.get("state") in ("running", "interrupted")


def left_over(*, on_top: bool) -> None:
    """Runs that a server left behind when it ended, with the buttons that take them up again: on top of the
    page, since after a restart a visitor comes for that; above the list of runs while another run goes on.
    """
    now = board()
    left = [row for row in now.rows if row.is_left_over or was_interrupted(row)]
    if not left or on_top == any(row.is_active for row in now.rows):
        return
    mine = [
        row
        for row in left
        if not identity.permissions().refusal("resume", identity.visitor(), row.run.config)
    ]
    then = (
        "*Resume* goes on from the last whole epoch."
        if mine
        else "Who started a run can resume it, on this page or with python -m kdviz resume."
    )
    st.info(
        f"{len(left)} run{'s were' if len(left) > 1 else ' was'} going or waiting when the program that "
        f"trained {'them' if len(left) > 1 else 'it'} ended. What was recorded is kept. {then}",
        icon=":material/power_off:",
    )
    first = mine[:MOST_RESUMES]
    names = [f"{task_title(row.run.task)}, {short_name(row.run)}" for row in first]
    with st.container(horizontal=True, gap="small"):
        for row, name in zip(first, names, strict=True):
            apart = f" · {row.run.id}" if names.count(name) > 1 else ""
            st.button(
                f"Resume {plain(name + apart)}",
                key=f"distil.resume_first.{row.run.id}",
                icon=":material/play_arrow:",
                on_click=resume,
                args=(row.run.id,),
                help=f"The run {plain(row.run.id)}, {STATE_WORDS[row.state]}",
            )
