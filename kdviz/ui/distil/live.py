"""The live view of one run: refreshed by a fragment while something goes on, still while nothing does."""

from datetime import UTC, datetime

import streamlit as st

from kdviz.jobs.audience import audience, is_another
from kdviz.jobs.permissions import owns
from kdviz.jobs.queue import shared
from kdviz.paths import runs_folder
from kdviz.progress import duration_words, phase_words
from kdviz.runs.names import short_name
from kdviz.runs.reader import Run
from kdviz.share.live import (
    Board,
    Row,
    how_it_runs,
    progress_share,
    seconds_left,
)
from kdviz.ui.distil.badge import run_title
from kdviz.ui.distil.board import ask_to_stop, board, has_refusal, take_refusal, watch, watched
from kdviz.ui.distil.curves import run_curves
from kdviz.ui.distil.ending import ending, result_card
from kdviz.ui.distil.maps import run_maps
from kdviz.ui.distil.numbers import run_numbers
from kdviz.ui.distil.together import group_head, group_links, group_numbers, group_of, group_progress
from kdviz.ui.frame import identity
from kdviz.ui.frame.compat import window_id
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.labels import said
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.store import task_title
from kdviz.ui.frame.turns import fragment

OWNER_SECONDS, VIEWER_SECONDS, IDLE_SECONDS = 1.0, 2.0, 5.0
MOST_NAMED = 3


def live_section() -> None:
    """The run being trained, else the one watched last. Redraws itself; redraws the page when a run's state
    changes.
    """
    now = board()
    with st.container():  # one element more above the fragment would give it another name in mid-click
        if refusal := take_refusal():
            st.warning(said(refusal), icon=":material/block:")
    row = now.training or next((row for row in now.rows if row.is_active), None) or now.row(watched())
    if row is not None:
        watch(row.run.id)
    elif gone := shared(runs_folder()).note(watched() or ""):
        st.warning(
            f"The run {plain(watched())} is no longer in the runs folder. It ended early: {said(gone)}.",
            icon=":material/error:",
        )
    pace = _pace(now, row)
    fragment(_refresh, run_every=pace)(now.signature, row.run.id if row else None, pace, [now])


def _pace(now: Board, row: Row | None) -> float:
    """Seconds between two looks of this window: its owner sees every second, and the larger the room, the
    less often the others do.
    """
    if not any(each.is_active for each in now.rows):
        return audience.pace(IDLE_SECONDS)
    if row and owns(identity.visitor(), row.run.config):
        return OWNER_SECONDS
    return audience.pace(VIEWER_SECONDS)


def _refresh(signature: tuple, run_id: str | None, pace: float, just_read: list[Board]) -> None:
    """Draw the run as it is now; then the page, where a run's state has changed.

    In this order: Streamlit forgets the controls that a run of a fragment has not drawn when it reruns the
    page, and a click on one of them that came meanwhile would be dropped. `just_read`: the board of the page,
    for the first drawing, which is part of it.
    """
    now = just_read.pop() if just_read else board()
    row = now.row(run_id)
    audience.seen(window_id(), pace)
    if row is not None:
        group = group_of(row, now.rows)
        with guarded("The live view"):
            result_card(now, group)
            _panel(row, now) if len(group) == 1 else _group_panel(group, now)
    if now.signature != signature or has_refusal() or is_another(_pace(now, row), pace):
        st.rerun()


def _group_panel(group: list[Row], now: Board) -> None:
    """Students that are trained together, all of them at once."""
    allowed, visitor = identity.permissions(), identity.visitor()
    going = [
        row.run
        for row in group
        if row.state == "running" and not allowed.refusal("stop", visitor, row.run.config)
    ]
    with st.container(border=True):
        left, right = st.columns([5, 1.2], vertical_alignment="center")
        with left, st.container(horizontal=True, vertical_alignment="center", gap="small"):
            group_head(group)
        with right:
            if going:
                st.button(
                    "Stop all",
                    icon=":material/stop:",
                    key="distil.stop",
                    width="stretch",
                    on_click=_stop_all,
                    args=([run.id for run in going],),
                )
        group_progress(group)
        _next_ones(now)
        group_links(group)
        with guarded("The curves"):
            group_numbers(group)


def _stop_all(run_ids: list[str]) -> None:
    for run_id in run_ids:
        ask_to_stop(run_id)


def _panel(row: Row, now: Board) -> None:
    run = row.run
    with st.container(border=True):
        _title(row)
        status = run.status
        if row.state in ("running", "stopping"):
            st.progress(progress_share(run, status), text=_progress_words(run, status))
        _next_ones(now)
        ending(row)
        run_numbers(run)
        with guarded("The maps"):
            run_maps(run)
        with guarded("The curves"):
            run_curves(run)
        if details := " · ".join(how_it_runs(run)):
            st.caption(plain(details[0].upper() + details[1:]))


def _next_ones(now: Board) -> None:
    """What waits, a turn after the other: a run somebody just asked for must not seem lost further down the
    page.
    """
    waiting: dict[int, list[Row]] = {}
    for row in now.rows:
        if row.place:
            waiting.setdefault(row.place, []).append(row)
    named = [f"{place}. {_turn_words(waiting[place])}" for place in sorted(waiting)[:MOST_NAMED]]
    if named:
        more = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
        st.caption(
            f":material/hourglass_empty: Waiting: {'; '.join(named)}{more}. Each starts by itself when the "
            "one before it ends."
        )


def _turn_words(turn: list[Row]) -> str:
    """The run whose turn it is, or those that are trained together in it."""
    run = turn[0].run
    what = f"{len(turn)} strategies on one teacher" if len(turn) > 1 else plain(short_name(run))
    return f"{plain(task_title(run.task))}, {what}"


def _title(row: Row) -> None:
    run, stop_refused = row.run, identity.permissions().refusal("stop", identity.visitor(), row.run.config)
    left, right = st.columns([5, 1.2], vertical_alignment="center")
    with left, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        run_title(row)
    with right:
        if row.state == "running" and not stop_refused:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="distil.stop",
                width="stretch",
                on_click=ask_to_stop,
                args=(run.id,),
            )


def _examples_a_step(run: Run) -> float:
    """On average: an epoch's last step has what is left."""
    batch_size, num_train = run.config.get("batch_size") or 0, run.config.get("data", {}).get("num_train")
    return num_train / -(-num_train // batch_size) if batch_size and num_train else batch_size


def _progress_words(run: Run, status: dict) -> str:
    parts = [phase_words(status)]
    stage = (
        run.stage_lines[-1]["stage"].get("name")
        if run.stage_lines and status.get("phase") in ("distilling", "evaluating")
        else None
    )
    if stage:
        parts.append(plain(str(stage)))
    if stage and status.get("total_steps"):
        parts.append(f"step {int(status.get('step') or 0):,} of {int(status['total_steps']):,}")
        if status.get("steps_per_second"):
            parts.append(f"{status['steps_per_second'] * _examples_a_step(run):.0f} examples/s")
    if status.get("waiting"):
        parts.append(plain(str(status["waiting"])))
    left = seconds_left(run, status, datetime.now(UTC))
    if left is not None:
        parts.append(f"about {duration_words(left)} left")
    return " · ".join(parts)
