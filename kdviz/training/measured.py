"""How good a teacher comes of a setting on GLUE's real data, as it was measured.

What is known to flop is said before Start, and the page opens with a task whose teacher is worth copying.
"""

from collections.abc import Collection
from dataclasses import dataclass

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
    _row("mrpc", 1500, 4, 5e-5, 0.728, 0.684, 408, source=DEMO),
    _row("rte", 2490, 3, 1e-4, 0.567, 0.527, 277),
    _row("rte", 1000, 4, 5e-5, 0.588, 0.527, 277, source=EARLIER),
    _row("rte", 2490, 3, 3e-5, 0.686, 0.527, 277, teacher="mpnet-base", source=DEMO),
)
"""Real data (QQP: a part of it), one seed each, the first by the benchmark named, with one thread."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a measured setting near the one asked for came to; `is_too_weak`: no student can learn from it."""

    row: MeasuredTeacher
    is_too_weak: bool

    @property
    def words(self) -> str:
        """One plain line: the measured number, and what to choose instead where it is too low."""
        row, title = self.row, TASKS[self.row.task].title
        said = (
            f"A {row.teacher} teacher of {title} ({row.train_size:,} examples, "
            f"{counted(row.epochs, 'epoch')}) was measured at {row.accuracy:.1%} right; always the "
            f"most frequent answer is {row.majority:.1%} right"
        )
        return f"{said}: too little to copy. {_instead(row)}" if self.is_too_weak else f"{said}."


def forecast(config: RunConfig, *, source: str, num_train: int) -> Forecast | None:
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
    good = [row for row in alike if row.beats_majority and _is_within(row, num_train, config.teacher_epochs)]
    if good:
        return Forecast(row=max(good, key=_training), is_too_weak=False)
    poor = [
        row
        for row in alike
        if not row.beats_majority and row.train_size >= num_train and row.epochs >= config.teacher_epochs
    ]
    return Forecast(row=min(poor, key=_training), is_too_weak=True) if poor else None


def recommended_task(tasks: Collection[str], *, train_size: int, epochs: int) -> str | None:
    """Of these tasks, the one whose teacher, trained so long at most, beats its constant answer by the most;
    None where none was measured to.
    """
    good = [
        row
        for row in MEASURED
        if row.task in tasks
        and row.teacher == RunConfig.default_of("teacher")
        and row.beats_majority
        and _is_within(row, train_size, epochs)
    ]
    return max(good, key=lambda row: row.accuracy - row.majority).task if good else None


def _is_within(row: MeasuredTeacher, num_train: int, epochs: int) -> bool:
    return row.train_size <= num_train and row.epochs <= epochs


def _training(row: MeasuredTeacher) -> int:
    return row.train_size * row.epochs


def _instead(poor: MeasuredTeacher) -> str:
    """What to choose instead: more of the same where that is known to be enough, else the best other task."""
    same = [row for row in MEASURED if row.task == poor.task and row.beats_majority]
    if same:
        row = min(same, key=lambda row: (row.teacher != poor.teacher, _training(row)))
        with_teacher = f" with the teacher {row.teacher}" if row.teacher != poor.teacher else ""
        return (
            f"Choose {row.train_size:,} examples and {counted(row.epochs, 'teacher epoch')}{with_teacher} "
            f"({row.accuracy:.1%}), or {_other(poor)}."
        )
    return f"Choose {_other(poor)}."


def _other(poor: MeasuredTeacher) -> str:
    other = max(
        (
            row
            for row in MEASURED
            if row.teacher == poor.teacher and row.task != poor.task and row.beats_majority
        ),
        key=lambda row: row.accuracy - row.majority,
    )
    return f"{TASKS[other.task].title} ({other.accuracy:.1%} against {other.majority:.1%})"
