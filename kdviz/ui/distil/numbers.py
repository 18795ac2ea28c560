"""The four numbers of a run as it stands now, each with what has to be known before it is believed."""

import math

import streamlit as st

from kdviz.analysis.cautions import cautions
from kdviz.runs.reader import Run
from kdviz.share.live import Scores, latest_scores, mismatch_so_far
from kdviz.text import counted, decimals
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.words import WORDS, metric_title, primary_metric

NO_SCORE = " There is no score: numbers of some answers are not finite."


def run_numbers(run: Run) -> None:
    """Score of the student beside the teacher's, and how far the inside is from the teacher's."""
    seen, mismatch, metric = latest_scores(run), mismatch_so_far(run), primary_metric(run)
    title, on = metric_title(metric), f"On {counted(seen.num_examples, 'evaluation example')}"
    is_evaluated, score = seen.epoch is not None, seen.student.get(metric)
    columns = st.columns(4)
    columns[0].metric(
        f"Student, {title}",
        shown(run, score, is_recorded=is_evaluated),
        help=f"{on}, after epoch {seen.epoch}.{'' if score is not None else NO_SCORE}"
        if is_evaluated
        else None,
    )
    majority = (
        f" Always giving the most frequent answer is {seen.majority:.1%} right."
        if seen.majority is not None
        else ""
    )
    score = seen.teacher.get(metric)
    columns[1].metric(
        f"Teacher, {title}",
        shown(run, score, is_recorded=bool(seen.teacher)),
        help=f"{on}.{'' if score is not None else NO_SCORE}{majority}" if seen.teacher else None,
    )
    if mismatch is None and (fine_tuning := run.lines("teacher")):
        losses = [line.get("loss") for line in fine_tuning]
        columns[2].metric(
            "Teacher's loss",
            decimals(losses[-1]),
            chart_data=losses,
            chart_type="line",
            help="Cross-entropy in nats, in training: the teacher is fine-tuned first.",
        )
        return
    columns[2].metric(
        "Agreement", shown(run, seen.agreement, is_recorded=is_evaluated), help=WORDS["agreement"]
    )
    now = None if mismatch is None else mismatch.attention_kl[-1].mean()
    has_start = mismatch is not None and mismatch.steps[0] == 0
    change = now - mismatch.attention_kl[0].mean() if has_start else None
    columns[3].metric(
        "Attention KL, nats",
        shown(run, now, is_recorded=mismatch is not None),
        delta=None if not change or math.isnan(change) else f"{change:+.3f}",
        delta_color="inverse",
        help=f"{WORDS['kl']} Mean over the matched layers and the preset sentences; below it the change "
        "since before training.",
    )
    teacher_cautions(seen)
    for caution in cautions(run, seen.epoch) if seen.epoch is not None else ():
        st.caption(f":material/info: After epoch {seen.epoch}: {plain(caution)}.")


def teacher_cautions(*seen: Scores) -> None:
    """What has to be known of the teacher of these runs before its students are believed: said once, however
    many they are.
    """
    for warning in dict.fromkeys(each.warning for each in seen if each.warning):
        st.warning(plain(warning), icon=":material/warning:")
    for labels in dict.fromkeys(each.labels for each in seen if each.labels):
        st.caption(plain(labels))


def shown(run: Run, number: float | None, *, is_recorded: bool) -> str:
    """A number of a run; a dash where none was found."""
    return decimals(number) if is_recorded else missing(run)


def missing(run: Run) -> str:
    """What stands for a number that was not recorded: three dots while it is yet to come, else a dash."""
    return "…" if run.state in ("queued", "running") else "–"
