"""The live view of one run: refreshed by a fragment while something goes on, still while nothing does."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import plotly.graph_objects as go
import streamlit as st

from kdviz.analysis.divergence import divergence
from kdviz.errors import RequestError
from kdviz.figures.curves import RunCurves, layer_curves, loss_curves
from kdviz.figures.diagram import matching_diagram
from kdviz.jobs.audience import audience, is_another
from kdviz.jobs.permissions import owns
from kdviz.jobs.queue import one_line, shared
from kdviz.paths import runs_folder
from kdviz.runs.reader import Run
from kdviz.share.live import (
    Board,
    Row,
    board_of,
    duration_words,
    how_it_runs,
    latest_scores,
    mismatch_so_far,
    phase_words,
    progress_share,
    seconds_left,
    stage_starts,
    thinned,
)
from kdviz.ui.distil.together import group_head, group_links, group_numbers, group_of, group_progress
from kdviz.ui.distil.words import STATE_COLOURS, STATE_ICONS, STATE_WORDS
from kdviz.ui.frame import identity as room
from kdviz.ui.frame import state
from kdviz.ui.frame.compat import window_id
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import chart, is_dark, plain
from kdviz.ui.frame.narrow import for_phone, panels_of
from kdviz.ui.frame.screen import is_narrow
from kdviz.ui.frame.store import short_name, store, task_title
from kdviz.ui.frame.words import WORDS, metric_title, primary_metric

OWNER_SECONDS, VIEWER_SECONDS, IDLE_SECONDS, BOARD_SECONDS = 1.0, 2.0, 5.0, 0.5
MOST_NAMED, LINES_PER_DRAWING = 3, 10
_WATCHED, _REFUSAL = "distil.watched", "distil.refusal"


def board() -> Board:
    """Where all runs stand, read at most twice a second however many browsers ask."""
    return _board(str(runs_folder()))


@st.cache_resource(ttl=BOARD_SECONDS, max_entries=4, show_spinner=False)
def _board(folder: str) -> Board:
    return board_of(store(), shared(runs_folder()))


def forget_board() -> None:
    """Read the runs anew at the next call: something was just started, stopped or deleted."""
    _board.clear()


def live_section() -> None:
    """The run being trained, else the one watched last. Redraws itself; redraws the page when a run's state
    changes.
    """
    now = board()
    if refusal := st.session_state.pop(_REFUSAL, None):
        st.warning(plain(refusal), icon=":material/block:")
    row = (
        now.training
        or next((row for row in now.rows if row.is_active), None)
        or now.row(st.session_state.get(_WATCHED))
    )
    if row is not None:
        st.session_state[_WATCHED] = row.run.id
    elif gone := shared(runs_folder()).note(st.session_state.get(_WATCHED, "")):
        st.warning(
            f"The run {plain(st.session_state[_WATCHED])} is no longer in the runs folder. It ended early: "
            f"{plain(gone)}.",
            icon=":material/error:",
        )
    pace = _pace(now, row)
    st.fragment(_refresh, run_every=pace)(now.signature, row.run.id if row else None, pace)


def _pace(now: Board, row: Row | None) -> float:
    """Seconds between two looks of this window: its owner sees every second, and the larger the room, the
    less often the others do.
    """
    if not any(each.is_active for each in now.rows):
        return audience.pace(IDLE_SECONDS)
    if row and owns(room.visitor(), row.run.config):
        return OWNER_SECONDS
    return audience.pace(VIEWER_SECONDS)


def watch(run_id: str) -> None:
    """Show this run when no other is being trained."""
    st.session_state[_WATCHED] = run_id


def _refresh(signature: tuple, run_id: str | None, pace: float) -> None:
    now = board()
    row = now.row(run_id)
    audience.seen(window_id(), pace)
    if now.signature != signature or _REFUSAL in st.session_state or is_another(_pace(now, row), pace):
        st.rerun()
    if row is not None:
        group = group_of(row, now.rows)
        with guarded("The live view"):
            _panel(row, now) if len(group) == 1 else _group_panel(group, now)


def _group_panel(group: list[Row], now: Board) -> None:
    """Students that are trained together, all of them at once."""
    setting, visitor = room.room(), room.visitor()
    going = [
        row.run
        for row in group
        if row.state == "running" and not setting.refusal("stop", visitor, row.run.config)
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
            st.progress(progress_share(status), text=_progress_words(run, status))
        _next_ones(now)
        _ending(row, status)
        _numbers(run)
        with guarded("The curves"):
            _curves(run)
        if details := " · ".join(how_it_runs(run)):
            st.caption(plain(details[0].upper() + details[1:]))


def _next_ones(now: Board) -> None:
    """The runs that wait, in their order: a run somebody just asked for must not seem lost further down the
    page.
    """
    waiting = sorted((row for row in now.rows if row.place), key=lambda row: row.place)
    named = [
        f"{row.place}. {plain(task_title(row.run.task))}, {plain(short_name(row.run))}"
        for row in waiting[:MOST_NAMED]
    ]
    if named:
        more = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
        st.caption(
            f":material/hourglass_empty: Waiting: {'; '.join(named)}{more}. Each starts by itself when the "
            "one before it ends."
        )


def _title(row: Row) -> None:
    run, stop_refused = row.run, room.room().refusal("stop", room.visitor(), row.run.config)
    left, right = st.columns([5, 1.2], vertical_alignment="center")
    with left, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        state_badge(row)
        st.markdown(f"**{plain(task_title(run.task))}**, {plain(short_name(run))}", width="content")
        if run.is_sample_data:
            st.badge("sample data, not GLUE", color="orange")
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


def state_badge(row: Row) -> None:
    """The state of a run in a word, with its place where it waits."""
    words = STATE_WORDS[row.state]
    if row.place:
        words += f", place {row.place}"
    elif row.waits_elsewhere:
        words += " in another server"
    elif row.is_left_over:
        words = "left waiting"
    st.badge(words, icon=STATE_ICONS[row.state], color=STATE_COLOURS[row.state])


def ask_to_stop(run_id: str) -> None:
    """Callback of Stop: checked here, whatever the page showed. A run that has ended meanwhile needs no
    stopping.
    """

    def stop() -> None:
        row = board_of(store(), shared(runs_folder())).row(run_id)
        if row is not None and row.is_active and row.state != "stopping":
            shared(runs_folder()).stop(run_id)

    do("stop", run_id, stop)


def do(action: str, run_id: str, act: Callable[[], None]) -> None:
    """Check on the server side who asks, act, and keep one line on what stood in the way for the page that
    follows.
    """
    try:
        room.room().require(action, room.visitor(), store().open(run_id).config)
        act()
    except RequestError as error:
        st.session_state[_REFUSAL] = str(error)
    except OSError as error:
        st.session_state[_REFUSAL] = f"Could not {action} {run_id}: {one_line(error)}"
    forget_board()


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
            parts.append(
                f"{status['steps_per_second'] * int(run.config.get('batch_size', 0)):.0f} examples/s"
            )
    if status.get("waiting"):
        parts.append(plain(str(status["waiting"])))
    left = seconds_left(run, status, datetime.now(UTC))
    if left is not None:
        parts.append(f"about {duration_words(left)} left")
    return " · ".join(parts)


def _ending(row: Row, status: dict) -> None:
    """What a run that does not go on came to, in one line, and where to look at it."""
    if row.state in ("running", "stopping"):
        return
    reason = row.note or status.get("error")
    if row.state == "failed" or (row.note and row.state != "finished"):
        st.warning(
            f"This run ended early: {plain(str(reason or 'no reason was written'))}. What it recorded "
            "until then can be looked at.",
            icon=":material/error:",
        )
    if diverged := divergence(row.run):
        st.warning(
            f"This training **diverged**: {plain(diverged)}. A lower learning rate keeps it together; no "
            "mean and no verdict counts this run.",
            icon=":material/trending_up:",
        )
    if row.run.probe_lines:
        with st.container(horizontal=True, gap="small"):
            for page, words in (
                ("attention", "See its maps"),
                ("layers", "Its layers"),
                ("answers", "Its answers"),
            ):
                st.button(
                    words,
                    key=f"distil.see.{page}",
                    on_click=_look,
                    args=(row.run.id, page),
                    type="primary" if page == "attention" else "secondary",
                )
    state.leave_if_asked()


def _look(run_id: str, page: str) -> None:
    state.change(run=run_id, step=None)
    state.go_to(page)


def _numbers(run: Run) -> None:
    """Score of the student beside the teacher's, and how far the inside is from the teacher's."""
    seen, mismatch, metric = latest_scores(run), mismatch_so_far(run), primary_metric(run)
    title, on = metric_title(metric), f"On {seen.num_examples} evaluation examples"
    columns = st.columns(4)
    columns[0].metric(
        f"Student, {title}",
        _shown(seen.student.get(metric)),
        help=f"{on}, after epoch {seen.epoch}." if seen.student else None,
    )
    majority = (
        f" Always giving the most frequent answer is {seen.majority:.1%} right."
        if seen.majority is not None
        else ""
    )
    columns[1].metric(
        f"Teacher, {title}",
        _shown(seen.teacher.get(metric)),
        help=f"{on}.{majority}" if seen.teacher else None,
    )
    if mismatch is None and (fine_tuning := run.lines("teacher")):
        losses = [line.get("loss") for line in fine_tuning]
        columns[2].metric(
            "Teacher's loss",
            _shown(losses[-1]),
            chart_data=losses,
            chart_type="line",
            help="Cross-entropy in nats, in training: the teacher is fine-tuned first.",
        )
        return
    columns[2].metric("Agreement", _shown(seen.agreement), help=WORDS["agreement"])
    change = None if mismatch is None else mismatch.attention_kl[-1].mean() - mismatch.attention_kl[0].mean()
    columns[3].metric(
        "Attention KL, nats",
        "…" if mismatch is None else _shown(mismatch.attention_kl[-1].mean()),
        delta=None if not change else f"{change:+.3f}",
        delta_color="inverse",
        help=f"{WORDS['kl']} Mean over the matched layers and the preset sentences; below it the change "
        "since before training.",
    )
    if seen.warning:
        st.warning(plain(seen.warning), icon=":material/warning:")
    if seen.labels:
        st.caption(plain(seen.labels))


def _shown(value: float | None) -> str:
    return "…" if value is None else f"{value:.3f}"


def _curves(run: Run) -> None:
    """What is trained now as a picture, how near the layers have come, and the terms of the loss."""
    num_stages, num_moments, num_losses, dark = (
        len(run.stage_lines),
        len(run.probe_lines),
        len(run.train_lines),
        is_dark(),
    )
    if num_moments:
        left, right = st.columns([1, 2.4], gap="medium")
        with left:
            chart(
                _stage_figure(run, num_stages, num_moments, run.state == "running", dark),
                "distil.stage",
                "The layers being trained now, with their attention KL",
            )
        with right:
            _charts(
                _kl_figures(run, num_moments, dark, is_narrow()),
                "distil.kl",
                "Attention KL and CLS distance of every matched pair over training, on the preset sentences",
            )
    if num_losses > 1:
        st.markdown(
            f"**Loss in training**, term by term; the sum is now {_shown(run.train_lines[-1].get('loss'))}",
            help="What the student is trained to lower, on the training examples. A term that a stage does "
            "not use has no line in it.",
        )
        # Streamlit builds a chart with new data anew, so it blinks: the number is of now, the lines follow in
        # steps.
        age = (
            (num_moments, num_losses // LINES_PER_DRAWING)
            if run.state == "running"
            else (num_moments, num_losses)
        )
        _charts(_loss_figures(run, age, dark, is_narrow()), "distil.loss", "Terms of the loss over training")


def _charts(figures: tuple[go.Figure, ...], key: str, name: str) -> None:
    for number, figure in enumerate(figures):
        chart(figure, f"{key}.{number}", name)


@lru_cache(maxsize=16)
def _stage_figure(run: Run, num_stages: int, num_moments: int, is_running: bool, dark: bool):
    """The matching with the stage of now; the layers' last attention KL on its lines. All layers once
    training is over.
    """
    stage = run.stage_lines[-1]["stage"] if run.stage_lines and is_running else None
    return _written_once(
        matching_diagram(
            int(run.config["teacher_num_layers"]),
            run.num_layers,
            run.pairs,
            active=stage["layers"] if stage else None,
            classification=stage["classification"] if stage else None,
            values=mismatch_so_far(run).attention_kl[-1].tolist(),
            strategy=run.strategy,
            dark=dark,
        )
    )


@lru_cache(maxsize=16)
def _loss_figures(run: Run, age: tuple[int, int], dark: bool, narrow: bool) -> tuple[go.Figure, ...]:
    """Drawn once for all browsers; `age` says when it is out of date."""
    return _panels(
        loss_curves(
            thinned(run.train_lines), run.pairs, strategy=run.strategy, stages=_stages(run), dark=dark
        ),
        narrow,
    )


def _stages(run: Run) -> list[tuple[float, str]]:
    """Where each stage begins; none where there is only one, whose boundary would say nothing."""
    return stage_starts(run) if len(run.config.get("stages") or ()) > 1 else []


@lru_cache(maxsize=16)
def _kl_figures(run: Run, num_lines: int, dark: bool, narrow: bool) -> tuple[go.Figure, ...]:
    seen = mismatch_so_far(run)
    curves = RunCurves(
        run_id=run.id,
        label=short_name(run),
        strategy=run.strategy,
        epochs=seen.epochs,
        steps=seen.steps,
        pairs=run.pairs,
        attention_kl=seen.attention_kl,
        cls_distance=seen.cls_distance,
        others=seen.others,
        stages=_stages(run),
    )
    return _panels(layer_curves([curves], over=f"{len(run.probes)} preset sentences", dark=dark), narrow)


def _panels(figure: go.Figure, narrow: bool) -> tuple[go.Figure, ...]:
    """The figure, or for a narrow screen its panels one below the other; a panel without a line is left out
    there.
    """
    if not narrow:
        return (_written_once(figure),)
    return tuple(_written_once(for_phone(panel)) for panel in panels_of(figure) if panel.data)


def _written_once(figure: go.Figure) -> go.Figure:
    """The figure with its dictionary made now: plotly copies it anew for every browser else, most of a
    rerun's time.
    """
    written = figure.to_dict()
    figure.to_dict = lambda: written
    return figure
