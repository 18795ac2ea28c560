"""What a study's table says, in two plain sentences made from its numbers; and why ours differ from the
paper's.
"""

from kdviz.method.strategies import INTERNAL
from kdviz.metrics import METRIC_TITLES
from kdviz.studies import paper
from kdviz.studies.rows import Row, Table
from kdviz.studies.table import times_as_far
from kdviz.tasks import TASKS

NO_CLOSER = 1.05
"""A ratio below this is written 1.0 and says nothing."""
X_WORDS = {
    "train_size": "training examples",
    "student_layers": "layers of the student",
    "parameters": "parameters",
}


def says(table: Table) -> list[str]:
    """A sentence on the inside and one on what can be seen outside; [] while their numbers are missing."""
    return [sentence for sentence in (_inside(table), _outside(table)) if sentence]


def _inside(table: Table) -> str:
    times = [value for each in table.comparisons if (value := times_as_far(table, each)) is not None]
    if not times:
        return ""
    if max(times) < NO_CLOSER:
        return "Inside, copying the teacher's inside brings the student no closer to its attention here."
    low, high = min(times), max(times)
    if low < NO_CLOSER:
        return (
            f"Inside, {sum(value >= NO_CLOSER for value in times)} of {_number(len(times), 'comparison')} "
            "bring the student closer to the teacher's attention than soft labels alone, by up to "
            f"{high:.1f} times."
        )
    size = f"{low:.1f} times" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f} times"
    return (
        "Inside, students that learn from soft labels alone end "
        f"{size} as far from the teacher's attention as students that copy its inside."
    )


def _outside(table: Table) -> str:
    if "repeated_mistakes" in table.columns:
        return _mistakes(table)
    if not table.comparisons:
        return ""
    if table.x:
        return _trend(table)
    clear = [each for each in table.comparisons if each.difference.is_clear]
    better = sum(each.difference.difference > 0 for each in clear)
    worse, unclear = len(clear) - better, len(table.comparisons) - len(clear)
    return (
        f"Outside, of {_number(len(table.comparisons), 'comparison')} with soft labels, "
        f"{better} {'is' if better == 1 else 'are'} clearly better, {worse} clearly worse, and {unclear} "
        "cannot be told apart on these examples."
    )


def _trend(table: Table) -> str:
    """The lead over soft labels at both ends of what is varied."""
    place = (lambda row: row.values["parameters"].mean) if table.x == "parameters" else _setting(table.x)
    ordered = sorted(table.comparisons, key=lambda each: place(table.rows[each.first]))
    ends = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    metric = METRIC_TITLES[ends[0].metric]
    parts = [
        f"{each.difference.difference:+.3f} [{each.difference.low:+.3f}, {each.difference.high:+.3f}] at "
        f"{place(table.rows[each.first]):,.0f}"
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


def _setting(name: str):
    def value(row: Row) -> float:
        found = row.settings[name]
        return float("inf") if found is None else float(found)

    return value


def _range(values: list) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
