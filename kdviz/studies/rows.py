"""What a study's table is made of: its rows, its comparisons, and the whole."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kdviz.analysis.answers import Farther
from kdviz.palette import words_of
from kdviz.studies import paper
from kdviz.studies.statistics import Difference, Spread
from kdviz.tasks import TASKS

_DEPTHS = ("student_layers", "teacher", "student_checkpoint")
"""What decides on a student's number of parameters."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Cells that differ in their seed alone. `left_out`: run id -> why a run that ended is in no mean.

    `paper_row` is None where the examples are not the paper's. `teacher`: the scores of the teacher it had.
    """

    settings: dict
    label: str
    task: str
    strategy: str
    paper_row: str | None
    metrics: dict[str, Spread]
    values: dict[str, Spread]
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    num_cells: int
    num_examples: int
    left_out: dict[str, str] = field(default_factory=dict)
    teacher: dict[str, float] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.runs)

    def paper(self, metric: str) -> dict | None:
        """The paper's number, its mark, and ours minus it; None where there is none to show."""
        number = paper.printed(self.paper_row, self.task, metric)
        if number is None:
            return None
        ours = self.metrics.get(metric, Spread(mean=None)).mean
        return {
            "value": number.value,
            "mark": number.mark,
            "difference": None if ours is None else ours - number.value,
        }

    def to_dict(self) -> dict:
        """JSON-ready."""
        own = ("attention_kl", "agreement")
        found = {metric: self.paper(metric) for metric in TASKS[self.task].metrics}
        return {
            "settings": self.settings,
            "n": self.n,
            "metrics": {name: value.to_dict() for name, value in self.metrics.items()},
            **{name: self.values.get(name, Spread(mean=None)).to_dict() for name in own},
            "label": self.label,
            "task": self.task,
            "strategy": self.strategy,
            "more": {name: value.to_dict() for name, value in self.values.items() if name not in own},
            "paper": {metric: number for metric, number in found.items() if number},
            "seeds": list(self.seeds),
            "runs": list(self.runs),
            "num_cells": self.num_cells,
            "num_examples": self.num_examples,
            "left_out": self.left_out,
            "paper_row": self.paper_row,
            "teacher": self.teacher,
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> "Row":
        """What `to_dict` wrote."""
        spreads = {name: values[name] for name in ("attention_kl", "agreement")} | values["more"]
        same = ("settings", "label", "task", "strategy", "num_cells", "num_examples", "left_out")
        return cls(
            paper_row=values["paper_row"],
            teacher=values["teacher"],
            metrics={name: Spread(**each, n=values["n"]) for name, each in values["metrics"].items()},
            values={
                name: Spread(**each, n=values["n"])
                for name, each in spreads.items()
                if each["mean"] is not None
            },
            seeds=tuple(values["seeds"]),
            runs=tuple(values["runs"]),
            **{name: values[name] for name in same},
        )


def in_words(settings: Mapping, strategy: str) -> str:
    """The settings that a study varies, as a row's name; the task is told elsewhere."""
    words = []
    for name, value in settings.items():
        if name == "strategy":
            words.append(words_of(value))
        elif name != "task":
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(words) or words_of(strategy)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An internal row against the soft-label row with which it shares everything else.

    `inside` (see `kdviz.analysis.apart`): which of the two, 0 or 1, is farther from the teacher inside; None
    where their examples are not stored.
    """

    first: int
    second: int
    metric: str
    difference: Difference
    inside: Farther | None = None

    @property
    def soft_times(self) -> tuple[float, float, float] | None:
        """How many times as far inside the soft-label row is as the internal one, with its 95 % interval."""
        found = self.inside
        if found is None:
            return None
        if found.place == 1:
            return found.times, found.low, found.high
        return 1 / found.times, 1 / found.high, 1 / found.low if found.low > 0 else math.inf

    def to_dict(self, rows: Sequence[Row]) -> dict:
        return {
            "row": self.first,
            "against": self.second,
            "first": rows[self.first].settings,
            "second": rows[self.second].settings,
            "metric": self.metric,
            **self.difference.to_dict(),
            "inside": vars(self.inside) if self.inside else None,
        }


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows in the study's order, comparisons, and by task the teacher's scores (where all rows had the same
    one), the data, and with what was trained (`setup`: teacher, student layers, epochs, numbers of examples).
    """

    study: str
    title: str
    about: str
    size: str | None
    names: tuple[str, ...]
    columns: tuple[str, ...]
    x: str | None
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    teachers: dict[str, dict[str, float]]
    data: dict[str, str]
    setup: dict[str, dict]

    @property
    def num_runs(self) -> int:
        return sum(row.n for row in self.rows)

    @property
    def num_cells(self) -> int:
        return sum(row.num_cells for row in self.rows)

    def x_of(self, row: Row) -> float | None:
        """Where a row stands on the curves' axis: infinite where the setting is left open ("all"), None where
        it was not measured.
        """
        if self.x == "parameters":
            return row.values["parameters"].mean if "parameters" in row.values else None
        value = row.settings[self.x]
        return math.inf if value is None else float(value)

    def lines(self, rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
        """`rows` as the curves join them, each line with its name: those of one task that differ in `x`
        alone, in its order. What was not measured is in none.
        """
        found: dict[tuple, list[Row]] = {}
        for row in rows:
            if self.x_of(row) is not None:
                key = (row.task, row.strategy, *((name, repr(row.settings[name])) for name in self._beside_x))
                found.setdefault(key, []).append(row)
        names = self._told_apart([(self._name_of(line), line[0]) for line in found.values()])
        return [(name, sorted(line, key=self.x_of)) for name, line in zip(names, found.values(), strict=True)]

    def _told_apart(self, named: Sequence[tuple[str, Row]]) -> list[str]:
        """Names of lines, each with its first row; where several have one name, with what they differ in."""
        names = []
        for name, row in named:
            alike = [other.settings for other_name, other in named if other_name == name]
            differing = {
                key: row.settings[key]
                for key in self._beside_x
                if key not in ("task", "strategy") and any(each[key] != row.settings[key] for each in alike)
            }
            names.append(f"{name}, {in_words(differing, row.strategy)}" if differing else name)
        return names

    def teacher_lines(self, rows: Sequence[Row], metric: str) -> list[tuple[str, dict[float, float]]]:
        """The teacher's score by the place of `rows`, with a name; one line each where rows at one place had
        teachers of their own.
        """
        found: list[tuple[str, dict[float, float]]] = []
        for label, line in self.lines(rows):
            scores = {self.x_of(row): row.teacher[metric] for row in line if metric in row.teacher}
            for _, known in found:
                if all(known.get(x, score) == score for x, score in scores.items()):
                    known |= scores
                    break
            else:
                found.append((label, scores))
        several = len(found) > 1
        return [(f"the teacher of {label}" if several else "the teacher", scores) for label, scores in found]

    @property
    def _beside_x(self) -> list[str]:
        along = _DEPTHS if self.x == "parameters" else (self.x,)
        return [name for name in self.names if name not in along]

    def _name_of(self, line: list[Row]) -> str:
        """The label that a line's rows were given, where it is one; else what they have in common."""
        first = line[0]
        given = {row.label for row in line} - {in_words(row.settings, row.strategy) for row in line}
        if len(given) == 1:
            return given.pop()
        return in_words({name: first.settings[name] for name in self._beside_x}, first.strategy)

    def has_teacher_row(self, task: str) -> bool:
        """Whether the table of a task begins with the teacher: where its runs had one, and beside the paper's
        numbers, which have one, also before anything was run.
        """
        if task in self.teachers:
            return True
        rows = [row for row in self.rows if row.task == task]
        return not any(row.n for row in rows) and any(
            row.paper(metric) for row in rows for metric in TASKS[task].metrics
        )

    def to_dict(self) -> dict:
        """JSON-ready: the contract's "rows", and more."""
        return {
            "study": self.study,
            "title": self.title,
            "about": self.about,
            "size": self.size,
            "names": list(self.names),
            "columns": list(self.columns),
            "x": self.x,
            "rows": [row.to_dict() for row in self.rows],
            "comparisons": [each.to_dict(self.rows) for each in self.comparisons],
            "teachers": self.teachers,
            "data": self.data,
            "setup": self.setup,
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> "Table":
        """What `to_dict` wrote. KeyError or TypeError where it is something else."""
        comparisons = [
            Comparison(
                first=each["row"],
                second=each["against"],
                metric=each["metric"],
                difference=Difference.from_dict(each),
                inside=Farther(**each["inside"]) if each.get("inside") else None,
            )
            for each in values["comparisons"]
        ]
        whole = {name: values[name] for name in ("title", "about", "size", "x", "teachers", "data", "setup")}
        return cls(
            study=values["study"],
            names=tuple(values["names"]),
            columns=tuple(values["columns"]),
            rows=tuple(Row.from_dict(row) for row in values["rows"]),
            comparisons=tuple(comparisons),
            **whole,
        )
