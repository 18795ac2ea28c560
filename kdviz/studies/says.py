"""What a study's table says, in two plain sentences made from its numbers; and why ours differ from the
paper's.
"""

import math

from kdviz.method.strategies import INTERNAL
from kdviz.metrics import METRIC_TITLES
from kdviz.studies import paper
from kdviz.studies.rows import Comparison, Table
from kdviz.tasks import TASKS
from kdviz.text import counted, times_between, times_text

X_WORDS = {
    "train_size": "training examples",
    "student_layers": "layers of the student",
    "parameters": "parameters",
}


def says(table: Table) -> list[str]:
    """A sentence on the inside and one on what can be seen outside; [] while their numbers are missing."""
    return [sentence for sentence in (_inside(table), _outside(table)) if sentence]


def _inside(table: Table) -> str:
    """By the intervals over the examples alone: what they do not tell apart has no ratio."""
    known = [each for each in table.comparisons if each.inside]
    told = [each.soft_times for each in known if each.inside.is_told_apart]
    closer = [times for times in told if times[0] > 1]
    if not known:
        return ""
    if len(closer) == len(known):
        size = _from_to([times for times, _, _ in closer])
        low, high = min(low for _, low, _ in closer), max(high for _, _, high in closer)
        return (
            f"Inside, students that learn from soft labels alone end {size} times as far from the teacher's "
            f"attention as students that copy its inside (95 % interval over the examples "
            f"{times_between(low, high)})."
        )
    if not told:
        return (
            "Inside, these examples cannot tell students that copy the teacher's inside from those that "
            "learn from soft labels alone."
        )
    unclear, farther = len(known) - len(told), len(told) - len(closer)
    return (
        f"Inside, of {counted(len(known), 'comparison')} with soft labels, {len(closer)} "
        f"{'ends' if len(closer) == 1 else 'end'} closer to the teacher's attention, {farther} farther, and "
        f"{unclear} cannot be told apart on these examples."
    )


def _from_to(values: list[float]) -> str:
    low, high = times_text(min(values)), times_text(max(values))
    return low if low == high else f"{low} to {high}"


def _outside(table: Table) -> str:
    if "repeated_mistakes" in table.columns:
        return _mistakes(table)
    if not table.comparisons:
        return ""
    first = {id(table.rows[each.first]): each for each in table.comparisons}
    lines = table.lines([table.rows[each.first] for each in table.comparisons]) if table.x else []
    if len(lines) == 1:
        [(_, line)] = lines
        return _trend(table, [first[id(row)] for row in line])
    clear = [each for each in table.comparisons if each.difference.is_told_apart]
    better = sum(each.difference.difference > 0 for each in clear)
    worse, unclear = len(clear) - better, len(table.comparisons) - len(clear)
    return (
        f"Outside, of {counted(len(table.comparisons), 'comparison')} with soft labels, "
        f"{better} {'is' if better == 1 else 'are'} clearly better, {worse} clearly worse, and {unclear} "
        "cannot be told apart on these examples."
    )


def _trend(table: Table, line: list[Comparison]) -> str:
    """The lead over soft labels at both ends of what is varied."""
    ends = [line[0], line[-1]] if len(line) > 1 else line
    metric = METRIC_TITLES[ends[0].metric]
    parts = [
        f"{each.difference.difference:+.3f} [{each.difference.low:+.3f}, {each.difference.high:+.3f}] at "
        f"{_number(table.x_of(table.rows[each.first]))}"
        for each in ends
    ]
    return (
        f"Outside ({metric}), the lead of internal distillation over soft labels is {' and '.join(parts)} "
        f"{X_WORDS.get(table.x, table.x.replace('_', ' '))}."
    )


def _mistakes(table: Table) -> str:
    """Of all tasks together, means of the rows: soft labels against internal."""
    shares = {}
    for name in ("repeated_mistakes", "kept_right"):
        for side, wanted in (("soft", ("soft",)), ("internal", INTERNAL)):
            known = [
                row.values[name].mean for row in table.rows if row.strategy in wanted and name in row.values
            ]
            if not known:
                return ""
            shares[name, side] = sum(known) / len(known)
    return (
        f"Outside, the student that copies the inside repeats {shares['repeated_mistakes', 'internal']:.0%} "
        f"of the teacher's mistakes and keeps {shares['kept_right', 'internal']:.0%} of its right answers; "
        f"with soft labels alone these are {shares['repeated_mistakes', 'soft']:.0%} and "
        f"{shares['kept_right', 'soft']:.0%}."
    )


def why_not_the_papers(table: Table) -> list[str]:
    """How our runs differ from the paper's, a line each; [] where no number of the paper stands beside."""
    if not any(row.paper(metric) for row in table.rows for metric in TASKS[row.task].metrics):
        return []
    lines = [f"The paper: {paper.SETUP}."]
    for task, setup in table.setup.items():
        layers, epochs = _range(setup["student_layers"]), _range(setup["epochs"])
        examples = f", {_range(setup['num_train'])} training examples" if "num_train" in setup else ""
        lines.append(
            f"{TASKS[task].title} here: teacher {', '.join(setup['teacher'])}, students of {layers} layers"
            f"{examples}, {epochs} epochs, the last epoch's score, mean over the seeds."
        )
    return lines


def _number(x: float) -> str:
    if math.isinf(x):
        return "all"
    return f"{x:,.0f}" if x.is_integer() else f"{x:g}"


def _range(values: list) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
