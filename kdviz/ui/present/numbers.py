"""A step's formula with the numbers of the run and the moment that are shown beside it."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from kdviz.analysis import row_kl, row_terms
from kdviz.analysis.comparable import comparable
from kdviz.config import RunConfig
from kdviz.method.strategies import place_of
from kdviz.method.term import Term
from kdviz.method.terms import TERMS
from kdviz.method.weights import part_weights
from kdviz.palette import words_of
from kdviz.runs.parts import interval_of
from kdviz.runs.reader import Run
from kdviz.share.view import View
from kdviz.studies import paper
from kdviz.tasks import TASKS
from kdviz.text import counted, decimals, plain
from kdviz.ui.frame.words import count, in_words, metric_title, primary_metric

MOST_WORDS = 5
_CLASSIFICATION = {"soft": ("soft labels", "nats"), "hard": ("labels", "nats")}
_PARTS = _CLASSIFICATION | {term.key: (term.title, term.unit) for term in TERMS.values()}
"""(title, unit) of every part of the loss, by its name in metrics.jsonl."""


def numbers(kind: str, run: Run, view: View, runs: list[Run]) -> None:
    """Draw what the step's `numbers` asks for. KeyError where the run has not recorded it."""
    _KINDS[kind](run, view, runs)


def _losses(run: Run, view: View, runs: list[Run]) -> None:
    """The training loss as a sum: each term at the last recorded step up to the moment shown."""
    lines = run.train_lines
    if not lines:
        raise KeyError("train lines")
    line = next((each for each in reversed(lines) if each["step"] <= (view.step or 0)), lines[0])
    settings = {name: value for name, value in run.config.items() if name.endswith("_weight")}
    weights = part_weights(RunConfig.from_dict(settings), line["stage"]["classification"])
    losses = {name: line["losses"][name] for name in (*_PARTS, *line["losses"]) if name in line["losses"]}
    rows, units = ["| term | value |", "|---|--:|"], {}
    for name, value in losses.items():
        title, unit = _PARTS.get(name, (name, "a unit that this version does not know"))
        units.setdefault(unit, []).append(plain(title))
        weight = weights.get(name, 1.0)
        times = "" if weight == 1 else f"{weight:g} × "
        layers = (
            sorted(value.items(), key=lambda item: int(item[0]))
            if isinstance(value, dict)
            else [(None, value)]
        )
        for layer, part in layers:
            where = "" if layer is None else f", layer {int(layer) + 1}"
            rows.append(f"| {times}{plain(title)}{where} | {decimals(part)} |")
    rows.append(f"| **loss** | **{decimals(line['loss'])}** |")
    st.markdown(f"The loss of this run at **step {count(line['step'])}**:\n\n" + "\n".join(rows))
    measured = "; ".join(f"{' and '.join(titles)} in {unit}" for unit, titles in units.items())
    st.caption(
        "Mean over the steps since the line before, on training examples: "
        f"{measured}. A term that is not there is not trained on."
    )


def _row(run: Run, view: View, runs: list[Run]) -> None:
    """One row of one head's map: the row that was farthest off at the first moment, so that it stays the same
    while the moment moves.
    """
    if view.text_a is not None or view.row is not None:
        st.info(
            "A row is worked out for presets alone: of other sentences no maps are stored. Choose a preset "
            "under *Sentence*.",
            icon=":material/info:",
        )
        return
    with_maps = [moment.step for moment in run.moments if moment.has_maps]
    if not run.probes or not with_maps:
        raise KeyError("maps")
    probe = next((probe for probe in run.probes if probe.id == view.probe), run.probes[0])
    pair = len(run.pairs) - 1 if view.pair is None else view.pair
    head, (student_layer, teacher_layer) = view.head or 0, run.pairs[pair]
    step = max((each for each in with_maps if each <= (view.step or 0)), default=with_maps[0])
    teacher = run.teacher_maps(probe.id)[teacher_layer, head]
    first, shown = (run.student_maps(each, probe.id)[student_layer, head] for each in (with_maps[0], step))
    row = int(np.argmax(row_kl(teacher, first)))
    parts = [each[row] for each in row_terms(teacher, shown)]
    order = np.argsort(-np.abs(parts[2]))[:MOST_WORDS]
    words = _told_apart(probe.tokens)
    lines = ["| looks at | teacher t | student s | t·ln(t/s) |", "|---|--:|--:|--:|"]
    for key in sorted(order):
        lines.append(_line(words[key], *(part[key] for part in parts)))
    rest = [key for key in range(len(probe.tokens)) if key not in order]
    if rest:
        lines.append(_line(f"{len(rest)} others", *(part[rest].sum() for part in parts)))
    lines.append(
        f"| **sum** | **{decimals(parts[0].sum(), 2)}** | **{decimals(parts[1].sum(), 2)}** "
        f"| **{decimals(parts[2].sum())}** |"
    )
    st.markdown(
        f"The row of **{words[row]}** in the preset *{plain(probe.title)}*, layer "
        f"{student_layer + 1}, head {head + 1}, step {count(step)}:\n\n" + "\n".join(lines)
    )
    kl = float(row_kl(teacher, shown).mean())
    st.caption(
        f"In nats, from the stored maps. Mean of the {len(probe.tokens)} rows of this head: {decimals(kl)}."
    )


def _told_apart(tokens: Sequence[str]) -> list[str]:
    """The words of a sentence as Markdown; one that occurs several times says which of them it is."""
    numbered = []
    for place, token in enumerate(tokens):
        times = tokens.count(token)
        which = f" ({tokens[:place].count(token) + 1} of {times})" if times > 1 else ""
        numbered.append(plain(token) + which)
    return numbered


def _line(word: str, teacher: float, student: float, term: float) -> str:
    return f"| {word} | {decimals(teacher)} | {decimals(student)} | {decimals(term, sign='+')} |"


def _cls(run: Run, view: View, runs: list[Run]) -> None:
    _by_pair(run, view, TERMS["cos"], digits=4)


def _layers(run: Run, view: View, runs: list[Run]) -> None:
    _by_pair(run, view, TERMS["kl"], digits=3)


def _by_pair(run: Run, view: View, term: Term, *, digits: int) -> None:
    """A number of every matched pair before training and at the moment shown, over the evaluation set."""
    lines = run.evals
    if not lines:
        raise KeyError("evaluations")
    now = next((line for line in reversed(lines) if line["step"] <= (view.step or 0)), lines[0])
    rows = ["| student | teacher | before | now |", "|--:|--:|--:|--:|"]
    start = run.before_training
    befores = start["mismatch"][term.key] if start else [None] * len(run.pairs)
    for pair, before, value in zip(run.pairs, befores, now["mismatch"][term.key], strict=True):
        student, teacher = pair
        rows.append(
            f"| {student + 1} | {teacher + 1} | {decimals(before, digits)} | {decimals(value, digits)} |"
        )
    st.markdown(
        f"Matched layers, and their {plain(term.title)} ({term.unit}) before training and after epoch "
        f"{now['epoch']:g}:\n\n" + "\n".join(rows)
    )
    st.caption(f"Mean over {counted(now.get('n', 0), 'evaluation example')}.")


def _strategies(run: Run, view: View, runs: list[Run]) -> None:
    rows = ["| stage | in the loss | for |", "|--:|---|--:|"]
    rows += [
        f"| {place} | {plain(str(stage.get('name')))} | {counted(stage.get('epochs'), 'epoch')} |"
        for place, stage in enumerate(run.config.get("stages", ()), start=1)
    ]
    st.markdown(f"The stages of this run, {in_words(run.strategy)}:\n\n" + "\n".join(rows))


def _scores(run: Run, view: View, runs: list[Run]) -> None:
    """The runs alike in all but strategy: score with interval, and mean attention KL."""
    metric = primary_metric(run)
    family = [each for each in comparable(run, runs, apart_from=("strategy",)) if each.evals]
    if not family:
        raise KeyError("evaluations")
    last = family[0].evals[-1]
    rows = [f"| | {metric_title(metric)} | KL |", "|---|---|--:|"]
    rows.append(f"| teacher | {decimals(last.get('teacher_metrics', {}).get(metric))} | |")
    for each in sorted(family, key=lambda one: place_of(one.strategy)):
        line = each.evals[-1]
        low, high = interval_of(line, metric)
        kl = [value for value in line["mismatch"]["attention_kl"] if value is not None]
        mean = decimals(sum(kl) / len(kl) if kl else None, 2)
        rows.append(
            f"| {words_of(each.strategy)} | {decimals(line['metrics'].get(metric))} "
            f"[{decimals(low, 2)}, {decimals(high, 2)}] | {mean} |"
        )
    st.markdown("\n".join(rows).replace("[", "\\["))
    st.caption(
        f"After the last epoch, n = {counted(last.get('n', 0), 'evaluation example')}, one seed; brackets: "
        "95 % bootstrap interval; KL in nats."
    )
    with st.expander("The paper's own numbers"):
        _paper()


def _paper() -> None:
    """The paper's scores by strategy and task, as far as they are known for sure, with their marks."""
    names = [f"{TASKS[task].title} {metric_title(metric)}" for task, metric in paper.METRICS.items()]
    rows = ["| | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for title, row in {
        "teacher": paper.TEACHER,
        **{f"`{name}`": row for name, row in paper.ROW_OF.items()},
    }.items():
        found = [paper.printed(row, task, metric) for task, metric in paper.METRICS.items()]
        cells = ["–" if number is None else f"{number.value:.3f} {number.mark}" for number in found]
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    st.markdown("\n".join(rows))
    marks = "; ".join(f"{mark}: {meaning}" for mark, meaning in paper.MARKS.items())
    st.caption(f"{paper.SETUP}. {marks}; –: not known for sure.")


_KINDS: dict[str, Callable[[Run, View, list[Run]], None]] = {
    "losses": _losses,
    "row": _row,
    "cls": _cls,
    "layers": _layers,
    "strategies": _strategies,
    "scores": _scores,
}
