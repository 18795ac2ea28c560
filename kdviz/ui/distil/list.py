"""All runs of the runs folder: where they stand, and what their owner can do with them."""

import streamlit as st

from kdviz.analysis.divergence import divergence
from kdviz.jobs.queue import CAN_BE_TAKEN_UP, shared
from kdviz.paths import runs_folder
from kdviz.runs.names import short_name
from kdviz.share.live import Row
from kdviz.text import plain_reason
from kdviz.ui.distil.badge import state_badge
from kdviz.ui.distil.board import ask_to_stop, board, do, resume
from kdviz.ui.distil.ending import left_over
from kdviz.ui.frame import identity, state
from kdviz.ui.frame.labels import said
from kdviz.ui.frame.look import heading, plain
from kdviz.ui.frame.store import task_title

SHOWN_AT_FIRST = 8
_ALL = "distil.all_runs"


def run_list() -> None:
    """The runs, newest first, each with its state; unreadable folders at the end with their reasons."""
    now = board()
    if not now.rows and not now.unreadable:
        return
    heading("Runs")
    left_over(on_top=False)
    rows = now.rows if st.session_state.get(_ALL) else now.rows[:SHOWN_AT_FIRST]
    for row in rows:
        _entry(row)
    if len(now.rows) > len(rows):
        st.button(f"Show all {len(now.rows)} runs", on_click=lambda: st.session_state.update({_ALL: True}))
    for entry in now.unreadable:
        st.caption(
            f":material/folder_off: {plain(entry.id[:80])} cannot be read: {plain_reason(entry.reason[:200])}"
        )


def _entry(row: Row) -> None:
    run = row.run
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"distil.row.{run.id}"):
        state_badge(row)
        if divergence(run):
            st.badge("diverged", icon=":material/trending_up:", color="red")
        created = str(run.config.get("created") or "")[:16].replace("T", " ")
        st.markdown(
            f"**{plain(task_title(run.task))}**, {plain(short_name(run))} :gray[· "
            f"{plain(run.id)}{' · ' + plain(created) if created else ''}]",
            width="stretch",
        )
        if run.probe_lines:
            st.button(
                "Maps",
                key=f"distil.look.{run.id}",
                type="tertiary",
                icon=":material/grid_on:",
                on_click=_look,
                args=(run.id,),
                help="Teacher's and student's attention maps",
            )
        _actions(row)
    if diverged := divergence(run):
        st.caption(f"It diverged: {plain(diverged)}. No mean and no verdict counts it.")
    reason = row.note or row.run.status.get("error")
    if row.state == "failed" and reason:
        st.caption(f"It ended early: {said(str(reason)[:300])}")


def _actions(row: Row) -> None:
    run, allowed, visitor = row.run, identity.permissions(), identity.visitor()
    if allowed.read_only:
        return
    if (row.state == "running" or row.place) and not allowed.refusal("stop", visitor, run.config):
        st.button(
            "Stop",
            key=f"distil.stop.{run.id}",
            type="tertiary",
            icon=":material/stop:",
            on_click=ask_to_stop,
            args=(run.id,),
        )
    if row.is_active:
        return
    if row.state in CAN_BE_TAKEN_UP and not allowed.refusal("resume", visitor, run.config):
        st.button(
            "Resume",
            key=f"distil.resume.{run.id}",
            type="tertiary",
            icon=":material/play_arrow:",
            on_click=resume,
            args=(run.id,),
        )
    if not allowed.refusal("delete", visitor, run.config):
        with st.popover("Delete", type="tertiary", icon=":material/delete:", key=f"distil.deletion.{run.id}"):
            st.markdown(f"Delete the run {plain(run.id)} with all it recorded?")
            st.button(
                "Delete for good",
                key=f"distil.delete.{run.id}",
                icon=":material/delete_forever:",
                on_click=_delete,
                args=(run.id,),
            )


def _look(run_id: str) -> None:
    state.change(run=run_id, step=None)
    state.go_to("attention")


def _delete(run_id: str) -> None:
    do("delete", run_id, lambda: shared(runs_folder()).delete(run_id))
