"""How good a teacher comes of a setting on GLUE's real data, as it was measured.

What is known to flop is said before Start, and the page opens with a task whose teacher is worth copying.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from kdviz.config import RunConfig
from kdviz.metrics import beats_constant_answer
from kdviz.tasks import TASKS
from kdviz.text import counted

BENCHMARK, DEMO, EARLIER = "benchmarks/teachers.py", "the stored demo", "a stored demo before this one"
LEARNING_RATE_TIMES = 3.0
"""A learning rate this many times higher or lower than the measured one is another recipe."""


@dataclass(frozen=True, kw_only=True)
class MeasuredTeacher:
    """A teacher fine-tuned on `train_size` examples, and its accuracy on `n` examples of the development set
    beside that of always giving the most frequent answer.
    """

    task: str
    train_size: int
    epochs: int
    learning_rate: float
    accuracy: float
    majority: float
    n: int
    teacher: str = "minilm-l6"
    source: str = BENCHMARK

    @property
    def beats_majority(self) -> bool:
        """By the rule of a run's own warning."""
        return beats_constant_answer(self.accuracy, self.majority, self.n)


def _row(
    task: str, size: int, epochs: int, rate: float, accuracy: float, majority: float, n: int, **more: str
) -> MeasuredTeacher:
    return MeasuredTeacher(
        task=task,
        train_size=size,
        epochs=epochs,
        learning_rate=rate,
        accuracy=accuracy,
        majority=majority,
        n=n,
        **more,
    )


MEASURED = (
    _row("qqp", 1250, 3, 1e-4, 0.756, 0.624, 2000),
    _row("qqp", 2000, 3, 1e-4, 0.776, 0.624, 2000),
    _row("qqp", 4000, 2, 1e-4, 0.795, 0.624, 2000),
    _row("qqp", 2000, 4, 5e-5, 0.770, 0.624, 1000, source=EARLIER),
    _row("cola", 2000, 3, 1e-4, 0.686, 0.691, 1043),
    _row("cola", 8551, 3, 1e-4, 0.712, 0.691, 1043),
    _row("cola", 4000, 4, 5e-5, 0.698, 0.691, 1043, source=EARLIER),
    _row("cola", 8551, 3, 3e-5, 0.823, 0.691, 1043, teacher="mpnet-base", source=DEMO),
    _row("mrpc", 2000, 3, 1e-4, 0.782, 0.684, 408),
    _row("mrpc", 1500, 4, 5e-5, 0.728, 0.684, 408, source=EARLIER),
    _row("mrpc", 3668, 3, 3e-5, 0.860, 0.684, 408, teacher="mpnet-base", source=DEMO),
    _row("rte", 2490, 3, 1e-4, 0.567, 0.527, 277),
    _row("rte", 1000, 4, 5e-5, 0.588, 0.527, 277, source=EARLIER),
    _row("rte", 2490, 3, 3e-5, 0.686, 0.527, 277, teacher="mpnet-base", source=DEMO),
)
"""Real data (QQP: a part of it), one seed each, the first by the benchmark named, with one thread."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a measured setting near the one `asked` for came to; `is_too_weak`: no student can learn from
    it.
    """

    asked: RunConfig
    row: MeasuredTeacher
    is_too_weak: bool

    @property
    def words(self) -> str:
        """One plain line: the measured number, and what to choose instead where it is too low."""
        row, title = self.row, TASKS[self.row.task].title
        rate = f", learning rate {row.learning_rate:g}" if _has_other_rate(self.asked, row) else ""
        said = (
            f"A {row.teacher} teacher of {title} ({row.train_size:,} examples, "
            f"{counted(row.epochs, 'epoch')}{rate}) was measured at {row.accuracy:.1%} right; always the "
            f"most frequent answer is {row.majority:.1%} right"
        )
        return f"{said}: too little to copy. {_instead(self.asked)}" if self.is_too_weak else f"{said}."


def forecast(config: RunConfig, *, source: str, num_train: float) -> Forecast | None:
    """What is known of the teacher of this setting on real data; None for sample data, a teacher used as it
    is, and what was not measured.

    It flops where as much training or more was measured to flop, and is good where as much or less was good.
    """
    if source == "sample" or config.teacher_epochs == 0:
        return None
    alike = [
        row
        for row in MEASURED
        if (row.task, row.teacher) == (config.task, config.teacher)
        and 1 / LEARNING_RATE_TIMES <= config.teacher_learning_rate / row.learning_rate <= LEARNING_RATE_TIMES
    ]
    good = [
        row
        for row in alike
        if row.beats_majority and row.train_size <= num_train and row.epochs <= config.teacher_epochs
    ]
    if good:
        return Forecast(asked=config, row=max(good, key=_training), is_too_weak=False)
    poor = [
        row
        for row in alike
        if not row.beats_majority and row.train_size >= num_train and row.epochs >= config.teacher_epochs
    ]
    return Forecast(asked=config, row=min(poor, key=_training), is_too_weak=True) if poor else None


def recommended_task(tasks: Collection[str], *, train_size: int, epochs: int) -> str | None:
    """Of these tasks, the one whose teacher, trained so long, beats its constant answer by the most; None
    where none was measured to.
    """
    best = _best_of(tasks, RunConfig(train_size=train_size, teacher_epochs=epochs))
    return best.task if best else None


def _best_of(tasks: Collection[str], asked: RunConfig) -> MeasuredTeacher | None:
    """With the task alone exchanged, what is forecast to beat its constant answer by the most."""
    num_train = math.inf if asked.train_size is None else asked.train_size
    known = (forecast(replace(asked, task=task), source="folder", num_train=num_train) for task in tasks)
    good = [each.row for each in known if each and not each.is_too_weak]
    return max(good, key=_lead) if good else None


def _training(row: MeasuredTeacher) -> int:
    return row.train_size * row.epochs


def _lead(row: MeasuredTeacher) -> float:
    """How far the teacher is before always giving the most frequent answer."""
    return row.accuracy - row.majority


def _has_other_rate(asked: RunConfig, row: MeasuredTeacher) -> bool:
    return not math.isclose(asked.teacher_learning_rate, row.learning_rate)


def _instead(asked: RunConfig) -> str:
    """What to choose instead of a setting that flops: the best that was measured of the same task, and the
    best other task.
    """
    same = [row for row in MEASURED if row.task == asked.task and row.beats_majority]
    ways = [_other(asked)]
    if same:
        row = max(same, key=_lead)
        ways.insert(0, f"{_setting(asked, row)} ({row.accuracy:.1%})")
    return f"Choose {', or '.join(ways)}."


def _other(asked: RunConfig) -> str:
    """The task to choose instead, all else as it is; where that was not measured to do, with what does."""
    others = [task for task in TASKS if task != asked.task]
    if best := _best_of(others, asked):
        return f"{TASKS[best.task].title} ({best.accuracy:.1%} against {best.majority:.1%})"
    best = max((row for row in MEASURED if row.task != asked.task and row.beats_majority), key=_lead)
    return (
        f"{TASKS[best.task].title} with {_setting(asked, best)} "
        f"({best.accuracy:.1%} against {best.majority:.1%})"
    )


def _setting(asked: RunConfig, row: MeasuredTeacher) -> str:
    """A row's whole setting in words, as the form asked for has to be changed to reach it."""
    parts = [f"{row.train_size:,} examples", counted(row.epochs, "teacher epoch")]
    if _has_other_rate(asked, row):
        parts.append(f"teacher's learning rate {row.learning_rate:g}")
    if row.teacher != asked.teacher:
        parts.append(f"teacher {row.teacher}")
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
