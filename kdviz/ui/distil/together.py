"""The live view of students that are trained together: all of them in one table and one figure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import plotly.graph_objects as go
import streamlit as st

from kdviz.analysis.cautions import cautions
from kdviz.figures.together import Growth, growth_curves
from kdviz.method.strategies import place_of
from kdviz.palette import words_of
from kdviz.progress import duration_words, phase_words
from kdviz.runs.reader import Run
from kdviz.share.live import (
    Row,
    latest_scores,
    mismatch_so_far,
    progress_share,
    seconds_left,
)
from kdviz.text import counted
from kdviz.ui.distil.numbers import missing, shown, teacher_cautions
from kdviz.ui.distil.words import STATE_COLOURS, STATE_ICONS, STATE_WORDS
from kdviz.ui.frame import state
from kdviz.ui.frame.look import chart, is_dark, plain
from kdviz.ui.frame.narrow import for_phone, panels_of
from kdviz.ui.frame.screen import is_narrow
from kdviz.ui.frame.store import task_title
from kdviz.ui.frame.words import WORDS, metric_title, primary_metric

GOING = ("running", "stopping")
_WORST_FIRST = ("stopping", "running", "queued", "failed", "interrupted", "stopped", "finished")


def group_of(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The runs that were asked for together with this one, itself included, in the strategies' order."""
    name = row.run.config.get("together")
    if not isinstance(name, str):
        return [row]
    group = [other for other in rows if other.run.config.get("together") == name]
    return sorted(group, key=lambda other: place_of(other.run.strategy))


def group_head(group: Sequence[Row]) -> None:
    """The group's state in a word, what it is, and whether its data is real."""
    first = group[0].run
    word = min((row.state for row in group), key=_WORST_FIRST.index)
    st.badge(STATE_WORDS[word], icon=STATE_ICONS[word], color=STATE_COLOURS[word])
    st.markdown(
        f"**{plain(task_title(first.task))}**, {len(group)} strategies on one teacher, "
        f"{counted(first.num_layers, 'layer')}",
        width="content",
    )
    if first.is_sample_data:
        st.badge("sample data, not GLUE", color="orange")


def group_progress(group: Sequence[Row]) -> None:
    """How far all of them are together; nothing once none of them goes on."""
    going = [row for row in group if row.state in GOING]
    if not going:
        return
    busiest = max(going, key=lambda row: (row.run.status.get("waiting") is None, -_steps(row.run)))
    open_ = [row for row in group if row in going or row.state == "queued"]
    done = len(group) - len(open_) + sum(progress_share(row.run, row.run.status) for row in open_)
    share = done / len(group)
    left = [seconds_left(row.run, row.run.status, datetime.now(UTC)) for row in going]
    known = [seconds for seconds in left if seconds is not None]
    words = [phase_words(busiest.run.status)]
    if busiest.run.status.get("phase") in ("distilling", "evaluating"):
        words.append(f"step {_steps(busiest.run):,} of {int(busiest.run.status['total_steps']):,} each")
        if known:
            words.append(f"about {duration_words(max(known))} left")
    else:
        share = progress_share(busiest.run, busiest.run.status)
    st.progress(share, text=" · ".join(words))


def group_numbers(group: Sequence[Row]) -> None:
    """A line for each strategy: state, score, agreement, and how far it is inside; growing curves below."""
    metric = primary_metric(group[0].run)
    probes = group[0].run.probes
    over = f" on {counted(len(probes), 'preset')}" if probes else ""  # they are chosen in the run
    lines = [
        f"| strategy | | epoch | {metric_title(metric)} | same answer as the teacher | "
        f"attention KL{over}, nats |",
        "|:--|:--|--:|--:|--:|--:|",
    ]
    for row in group:
        run, seen, mismatch = row.run, latest_scores(row.run), mismatch_so_far(row.run)
        kl = None if mismatch is None else float(mismatch.attention_kl[-1].mean())
        is_evaluated = seen.epoch is not None
        cells = [
            words_of(run.strategy),
            STATE_WORDS[row.state],
            str(seen.epoch) if is_evaluated else missing(run),
            *(
                shown(run, number, is_recorded=is_evaluated)
                for number in (seen.student.get(metric), seen.agreement)
            ),
            shown(run, kl, is_recorded=mismatch is not None),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    st.markdown("\n".join(lines), help=WORDS["strategy"])
    teacher_cautions(*(latest_scores(row.run) for row in group))
    for row in group:
        epoch = latest_scores(row.run).epoch
        for caution in cautions(row.run, epoch) if epoch is not None else ():
            st.caption(f":material/info: {words_of(row.run.strategy)}, epoch {epoch}: {plain(caution)}.")
    runs = tuple(row.run for row in group)
    if any(run.probe_lines for run in runs):
        age = tuple((len(run.probe_lines), len(run.evals)) for run in runs)
        for number, figure in enumerate(_figures(runs, age, is_dark(), is_narrow())):
            chart(
                figure,
                f"distil.together.{number}",
                f"{metric_title(metric)} and attention KL of every strategy over training",
            )


def group_links(group: Sequence[Row]) -> None:
    """Where to compare them once something is there to compare."""
    able = [row for row in group if row.run.evals]
    if any(row.state in (*GOING, "queued") for row in group) or len(able) < 2:
        return
    last = able[-1].run.id
    others = tuple(row.run.id for row in able[:-1])
    with st.container(horizontal=True, gap="small"):
        for page, words in (("answers", "Compare their scores"), ("layers", "Compare layer by layer")):
            st.button(
                words,
                key=f"distil.compare.{page}",
                on_click=_compare,
                args=(last, others, page),
                type="primary" if page == "answers" else "secondary",
            )
    state.leave_if_asked()


def _compare(run_id: str, others: tuple[str, ...], page: str) -> None:
    state.change(run=run_id, step=None, others=others)
    state.go_to(page)


def _steps(run: Run) -> int:
    return int(run.status.get("step") or 0)


@lru_cache(maxsize=8)
def _figures(runs: tuple[Run, ...], age: tuple, dark: bool, narrow: bool) -> tuple[go.Figure, ...]:
    """Drawn once for all browsers; `age` says when they are out of date."""
    first, metric = runs[0], primary_metric(runs[0])
    scores = [latest_scores(run) for run in runs]
    figure = growth_curves(
        [_growth(run, metric) for run in runs],
        score_name=metric_title(metric),
        scores_over=f"n = {counted(first.config['data']['num_eval'], 'evaluation example')}",
        kl_over=counted(len(first.probes), "preset sentence"),
        last_epoch=float(first.config["epochs"]),
        teacher_score=next((seen.teacher[metric] for seen in scores if metric in seen.teacher), None),
        dark=dark,
    )
    return (figure,) if not narrow else tuple(for_phone(panel) for panel in panels_of(figure))


def _growth(run: Run, metric: str) -> Growth:
    mismatch = mismatch_so_far(run)
    return Growth(
        label=words_of(run.strategy),
        strategy=run.strategy,
        score_epochs=[line["epoch"] for line in run.evals],
        scores=[line["metrics"][metric] for line in run.evals],
        kl_epochs=mismatch.epochs if mismatch else [],
        attention_kl=mismatch.attention_kl.mean(axis=1).tolist() if mismatch else [],
    )
