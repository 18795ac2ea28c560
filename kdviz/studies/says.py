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
            f"attention, by the median example, as students that copy its inside (95 % interval over the "
            f"examples {times_between(low, high)})."
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
    found = [each.difference for each in table.comparisons]
    told = [each for each in found if each.is_told_apart]
    better = sum(each.difference > 0 for each in told)
    alike = sum(each.low == each.high == 0 for each in found)
    by_luck = sum(not each.holds_over_seeds for each in told)
    return (
        f"Outside, of {counted(len(found), 'comparison')} with soft labels, {better} "
        f"{'is' if better == 1 else 'are'} better on these examples, {len(told) - better} worse, and "
        f"{len(found) - len(told)} cannot be told apart on them"
        + (f" ({alike} because both sides are right on the very same ones)" if alike else "")
        + "."
        + (f" {_other_seeds(len(told), by_luck)}" if by_luck else "")
    )


def _other_seeds(num_told: int, by_luck: int) -> str:
    """That the seeds do not bear out some of the comparisons that the examples tell apart."""
    if num_told == 1:
        return "With other seeds that one may be otherwise."
    return f"Of the {num_told} told apart, {by_luck} may be otherwise with other seeds."


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
    """Soft labels against internal: means over the tasks that have both, of the means of their rows."""
    shares: dict[tuple[str, str], list[float]] = {}
    for task in dict.fromkeys(row.task for row in table.rows):
        found = {
            (name, side): [
                row.values[name].mean
                for row in table.rows
                if row.task == task and row.strategy in wanted and name in row.values
            ]
            for name in ("repeated_mistakes", "kept_right")
            for side, wanted in (("soft", ("soft",)), ("internal", INTERNAL))
        }
        if all(found.values()):
            for key, values in found.items():
                shares.setdefault(key, []).append(sum(values) / len(values))
    if not shares:
        return ""
    said = {key: f"{sum(values) / len(values):.0%}" for key, values in shares.items()}
    return (
        f"Outside, the student that copies the inside repeats {said['repeated_mistakes', 'internal']} of the "
        f"teacher's mistakes and keeps {said['kept_right', 'internal']} of its right answers; with soft "
        f"labels alone these are {said['repeated_mistakes', 'soft']} and {said['kept_right', 'soft']}."
    )


def why_not_the_papers(table: Table) -> list[str]:
    """How our runs differ from the paper's, a line each; [] where no number of the paper stands beside."""
    if not any(row.paper(metric) for row in table.rows for metric in TASKS[row.task].metrics):
        return []
    lines = [f"The paper: {paper.SETUP}."]
    for task, setup in table.setup.items():
        layers, epochs = _range(setup["student_layers"], "layer"), _range(setup["epochs"], "epoch")
        examples = f", {_range(setup['num_train'], 'training example')}" if "num_train" in setup else ""
        lines.append(
            f"{TASKS[task].title} here: teacher {', '.join(setup['teacher'])}, students of {layers}"
            f"{examples}, {epochs}, the last epoch's score, mean over the seeds."
        )
    return lines


def _number(x: float) -> str:
    if math.isinf(x):
        return "all"
    return f"{x:,.0f}" if x.is_integer() else f"{x:g}"


def _range(values: list, noun: str) -> str:
    low, high = min(values), max(values)
    return counted(low, noun) if low == high else f"{low:,} to {high:,} {noun}s"
