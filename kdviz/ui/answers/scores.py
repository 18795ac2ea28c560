"""The Answers page, first and last part: scores and cost of teacher and students, and runs against runs."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd
import streamlit as st

from kdviz.analysis import differing_settings
from kdviz.analysis.cautions import cautions
from kdviz.figures import Score, ScoreCurve, score_against_parameters, score_curves, scores_with_intervals
from kdviz.figures.base import numbers_of_examples
from kdviz.files import size_words
from kdviz.metrics import mean_of, predictions, score_intervals, scores
from kdviz.palette import Style, run_styles
from kdviz.runs.arrays import Damaged
from kdviz.runs.command import shown_name
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import Evaluation, interval_of
from kdviz.runs.reader import Run
from kdviz.runs.settings import layers_text
from kdviz.share.view import MAX_OTHERS, epoch_at, same_moment
from kdviz.tasks import TASKS
from kdviz.text import cell, decimals, plain, plain_reason
from kdviz.ui.frame.controls import boxed
from kdviz.ui.frame.look import chart, heading
from kdviz.ui.frame.others import choose_others, other_depths, other_runs, say
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.scores import verdict_of_pair
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import (
    WORDS,
    in_words,
    metric_title,
    metric_words,
    moment_words,
    primary_metric,
)


def line_at(run: Run, scene: Scene) -> dict | None:
    """The eval line of `run` at the view's moment; of another run as far through its training."""
    step = scene.view.step if run.id == scene.run.id else same_moment(run, scene.run, scene.view.step)
    epoch = epoch_at(run, step)
    return next((line for line in run.evals if int(line["epoch"]) == epoch), None)


def chosen_runs(scene: Scene) -> list[Run]:
    """The run looked at and those it is compared with, with the control for them."""
    others, notices = other_runs(scene, most=MAX_OTHERS)
    with boxed("What is compared"):
        choose_others(scene, others)
    say(notices)
    return [scene.run, *others]


def score_part(scene: Scene) -> None:
    """The task's own metric of teacher and students with intervals; every number in a table."""
    chosen = chosen_runs(scene)
    lines = {run.id: line_at(run, scene) for run in chosen}
    runs = [run for run in chosen if lines[run.id]]
    if not runs:
        raise KeyError("no evaluation yet")
    names, metric = (
        dict(zip([run.id for run in runs], distinct_names(runs), strict=True)),
        primary_metric(scene.run),
    )
    st.markdown(f"The teacher is the line to reach. {verdict_of_pair(runs, lines, names, metric)}")
    models = _models(scene, runs, lines, names, metric, _worn(chosen))
    num_examples = lines[runs[0].id]["n"]
    chart(
        remembered(
            scores_with_intervals,
            models,
            score_name=metric_title(metric),
            num_examples=num_examples,
            dark=scene.dark,
        ),
        "answers.scores",
        "Scores of teacher and students with their confidence intervals",
    )
    st.dataframe(
        _table(scene, runs, lines, names),
        hide_index=True,
        height="content",
        column_config=_columns() | metric_columns(lines[runs[0].id]["metrics"]),
    )
    for run in runs:
        for caution in cautions(run, int(lines[run.id]["epoch"])):
            st.caption(f":material/info: {plain(names[run.id])}: {plain(caution)}.")
    try:
        _last_answers(scene.run)
    except Damaged as error:
        st.caption(
            ":material/broken_image: The stored answers of this run cannot be read, so the teacher has no "
            f"interval and there is no most frequent answer: {plain_reason(str(error))}."
        )
    said = evaluated_words([(names[run.id], lines[run.id]) for run in runs])
    st.caption(f"{said} {WORDS['interval']} {WORDS['cost']}")


def evaluated_words(named: Sequence[tuple[str, dict]]) -> str:
    """On how many examples and after which epoch the numbers of each run are, by its name and its line of
    the evaluation: the moment that is looked at may lie between two.
    """
    when = ", ".join(f"{moment_words(int(line['epoch']))} ({plain(name)})" for name, line in named)
    return f"Evaluation set, n = {numbers_of_examples([line['n'] for _, line in named])}; {when}."


def _worn(runs: list[Run]) -> dict[str, Style]:
    """What each of the runs that are compared wears, by its id: also where one of them has no number."""
    return dict(zip([run.id for run in runs], run_styles([run.strategy for run in runs]), strict=True))


def _models(
    scene: Scene, runs: list[Run], lines: dict, names: dict, metric: str, worn: dict[str, Style]
) -> list[Score]:
    found = []
    if (value := lines[runs[0].id].get("teacher_metrics", {}).get(metric)) is not None:
        low, high = teacher_intervals(scene.run).get(metric, (None, None))
        cost = runs[0].summary.get("cost", {})
        found.append(
            Score(
                label="teacher",
                strategy="teacher",
                value=value,
                low=low,
                high=high,
                parameters=cost.get("teacher_parameters"),
                num_layers=scene.run.config.get("teacher_num_layers"),
            )
        )
    for run in runs:
        if lines[run.id]["metrics"].get(metric) is None:  # a diverged run may have none
            continue
        low, high = interval_of(lines[run.id], metric)
        parameters = run.summary.get("cost", {}).get("student_parameters")
        found.append(
            Score(
                label=names[run.id],
                strategy=run.strategy,
                value=lines[run.id]["metrics"][metric],
                low=low,
                high=high,
                parameters=parameters,
                num_layers=run.num_layers,
                num_examples=lines[run.id]["n"],
                style=worn.get(run.id),
            )
        )
    return found


def _table(scene: Scene, runs: list[Run], lines: dict, names: dict) -> pd.DataFrame:
    """One row a model: scores, likeness to the teacher, cost."""
    first, rows = lines[runs[0].id], []
    cost = runs[0].summary.get("cost", {})
    rows.append(
        {"model": "teacher"}
        | _scores_text(first.get("teacher_metrics", {}), teacher_intervals(scene.run))
        | _cost_text(cost, "teacher")
    )
    for run in runs:
        line = lines[run.id]
        alike = {
            "agreement": decimals(line["agreement"]),
            "logit_kl": decimals(line["logit_kl"]),
            "kl": decimals(mean_of(line["mismatch"]["attention_kl"])),
        }
        rows.append(
            {"model": names[run.id]}
            | _scores_text(line["metrics"], line.get("intervals") or {})
            | alike
            | _cost_text(run.summary.get("cost", {}), "student")
        )
    if constant := _constant_scores(scene.run):
        rows.append({"model": "most frequent answer"} | _scores_text(constant, {}))
    return pd.DataFrame(rows).fillna("")


def _scores_text(values: dict, intervals: dict) -> dict[str, str]:
    texts = {}
    for name, value in values.items():
        low, high = intervals.get(name) or (None, None)
        bounds = "" if None in (value, low) else f" [{low:.3f}, {high:.3f}]"
        texts[metric_title(name)] = f"{decimals(value)}{bounds}"
    return texts


def _cost_text(cost: dict, who: str) -> dict[str, str]:
    texts = {}
    if cost.get(f"{who}_parameters"):
        texts["parameters"] = f"{cost[f'{who}_parameters'] / 1e6:.1f} M"
    if cost.get(f"{who}_bytes"):
        texts["size"] = size_words(cost[f"{who}_bytes"])
    if cost.get(f"{who}_ms_per_sentence"):
        texts["time"] = f"{cost[f'{who}_ms_per_sentence']:.1f} ms"
    return texts


def _columns() -> dict:
    return {
        "model": st.column_config.TextColumn("Model", pinned=True, width=160),
        "agreement": st.column_config.TextColumn("Agreement", help=WORDS["agreement"]),
        "logit_kl": st.column_config.TextColumn("Output KL (nats)", help=WORDS["logit_kl"]),
        "kl": st.column_config.TextColumn("Attention KL (nats)", help=WORDS["kl"]),
        "parameters": st.column_config.TextColumn("Parameters", help=WORDS["cost"]),
        "size": st.column_config.TextColumn("File", help=WORDS["cost"]),
        "time": st.column_config.TextColumn("Per sentence", help=WORDS["cost"]),
    }


def metric_columns(names: Iterable[str]) -> dict:
    """The metrics' columns, each with what the number says."""
    titles = {metric_title(name): metric_words(name) for name in names}
    return {title: st.column_config.TextColumn(title, help=words) for title, words in titles.items()}


def teacher_intervals(run: Run) -> dict[str, tuple[float, float]]:
    """The teacher's bootstrap intervals, from its stored answers; {} where none can be read."""
    epochs = run.evaluated_epochs
    if not epochs or run.task not in TASKS:
        return {}
    try:
        return _teacher_intervals(run.folder, str(run.config.get("created")), run.task, epochs[-1])
    except LookupError:
        return {}


@lru_cache(maxsize=128)
def _teacher_intervals(folder: Path, created: str, task: str, epoch: int) -> dict[str, tuple[float, float]]:
    answers = Run(folder).evaluation(epoch)
    answered = predictions(answers.teacher_logits)
    found = score_intervals(TASKS[task], answers.label, answered) if answered.min() >= 0 else {}
    return {name: (low, high) for name, (low, high) in found.items()}


def _constant_scores(run: Run) -> dict[str, float]:
    """What answering always the most frequent class reaches; {} where no labels can be read."""
    if run.task not in TASKS:
        return {}
    try:
        label = _last_answers(run).label
    except LookupError:
        return {}
    most = int(pd.Series(label).mode()[0])
    return scores(TASKS[run.task], label, label * 0 + most)


def _last_answers(run: Run) -> Evaluation:
    """The last stored evaluation. LookupError where there is none, Damaged where it cannot be used."""
    return run.evaluation(run.evaluated_epochs[-1])


def run_part(scene: Scene) -> None:
    """Runs against runs: only what differs in their settings, score over epochs, score against size."""
    runs = chosen_runs(scene)
    names, metric = distinct_names(runs), primary_metric(scene.run)
    st.markdown("Only what differs between these runs is listed; everything else is the same.")
    rows = differing_settings([run.config for run in runs])
    if rows:
        table = pd.DataFrame(
            [
                {"setting": row["setting"].replace("_", " ")}
                | dict(
                    zip(names, (_setting_text(row["setting"], value) for value in row["values"]), strict=True)
                )
                for row in rows
            ]
        )
        st.dataframe(table, hide_index=True, height="content")
    else:
        st.info(
            "Nothing differs in the settings of these runs."
            if len(runs) > 1
            else "Choose at least one run to compare with.",
            icon=":material/info:",
        )
    heading("Score through training", "interval")
    _score_curves(scene, runs, names, metric)
    heading("Score against size", "cost")
    deeper = [run for run in other_depths(scene) if run not in runs]
    if deeper:
        st.markdown(f"With the students of other depths by {in_words(scene.run.strategy)}.")
    lines = {run.id: line_at(run, scene) for run in [*runs, *deeper]}
    sized = [run for run in [*runs, *deeper] if lines[run.id]]
    models = (
        _models(
            scene,
            sized,
            lines,
            dict(zip([run.id for run in sized], distinct_names(sized), strict=True)),
            metric,
            {},
        )
        if sized
        else []
    )
    models = [model for model in models if model.parameters]
    if models:
        chart(
            remembered(
                score_against_parameters,
                models,
                score_name=metric_title(metric),
                num_examples=lines[sized[0].id]["n"],
                dark=scene.dark,
            ),
            "answers.size",
            "Score against the number of parameters",
        )
    else:
        st.info(
            "Parameters are measured at the end of a run; none of these has them yet.", icon=":material/info:"
        )


def _score_curves(scene: Scene, runs: list[Run], names: list[str], metric: str) -> None:
    curves, worn = [], _worn(runs)
    for run, name in zip(runs, names, strict=True):
        lines = [line for line in run.evals if line["metrics"].get(metric) is not None]
        if not lines:
            continue
        intervals = [interval_of(line, metric) for line in lines]
        known = all(None not in interval for interval in intervals)
        curves.append(
            ScoreCurve(
                label=name,
                strategy=run.strategy,
                epochs=[line["epoch"] for line in lines],
                values=[line["metrics"][metric] for line in lines],
                low=[low for low, _ in intervals] if known else None,
                high=[high for _, high in intervals] if known else None,
                num_examples=lines[-1]["n"],
                style=worn[run.id],
            )
        )
    last = scene.run.evals[-1] if scene.run.evals else {}
    figure = remembered(
        score_curves,
        curves,
        score_name=metric_title(metric),
        num_examples=int(last.get("n", 0)),
        teacher_score=last.get("teacher_metrics", {}).get(metric),
        majority=_constant_scores(scene.run).get(metric),
        shown_epoch=scene.moment.epoch if scene.moment else None,
        dark=scene.dark,
    )
    chart(figure, "answers.curves", "Score of every run over the epochs, with the teacher's as a line")


def _setting_text(name: str, value: object) -> str:
    if (layers := layers_text(name, value)) is not None:
        return layers
    if value is None:
        return "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return cell(shown_name(value)) if isinstance(value, str) else str(value)
