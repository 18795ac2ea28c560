"""Whose score is higher, and whether their examples can tell: two students answered the same sentences, so
their scores are compared sentence by sentence. Two intervals that overlap leave that open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from cachetools import LRUCache, cached

from kdviz.analysis.answers import FEWEST_EXAMPLES, sums_of
from kdviz.analysis.comparable import same_examples
from kdviz.metrics import METRICS, paired_interval, predictions
from kdviz.runs.arrays import Damaged
from kdviz.runs.reader import Run
from kdviz.task import Task
from kdviz.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class ScoreGap:
    """The score of the first side minus that of the second, each the mean over its seeds. `low` and `high`:
    95 % interval by the paired bootstrap over the `num_examples` that both answered, seeds held fixed.
    """

    difference: float
    low: float
    high: float
    num_examples: int

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval leaves no doubt about the sign; never of so few examples that all of them
        on one side would be luck.
        """
        return self.num_examples >= FEWEST_EXAMPLES and (self.low > 0 or self.high < 0)

    @property
    def words(self) -> str:
        return f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def score_gap(
    first: Sequence[tuple[Run, int]], second: Sequence[tuple[Run, int]], metric: str
) -> ScoreGap | None:
    """What tells the answers of two sides apart, each of one run or more after these epochs; None where the
    answers are not stored, or are of other examples.
    """
    sides, runs = (*first, *second), [run for run, _ in (*first, *second)]
    task = TASKS.get(runs[0].task)
    if task is None or metric not in task.metrics:
        return None
    if not all(same_examples(runs[0], run) for run in runs):
        return None
    try:
        found = [_answers(run.folder, str(run.config.get("created")), epoch) for run, epoch in sides]
    except (KeyError, Damaged):
        return None
    index, labels, _ = found[0]
    if not all(np.array_equal(index, each[0]) and np.array_equal(labels, each[1]) for each in found):
        return None
    answers = [each[2] for each in found]
    if max(array.max() for array in (labels, *answers)) >= task.num_labels:
        return None
    if min(array.min() for array in answers) < 0:  # not every example has an answer
        return None
    return paired_gap(task, metric, labels, answers[: len(first)], answers[len(first) :])


def answered_others(sides: Sequence[tuple[Run, int]]) -> bool:
    """Whether these runs were scored on other examples after these epochs: other data, another number of
    them, or, where their answers are stored, other rows.
    """
    runs = [run for run, _ in sides]
    if not all(same_examples(runs[0], run) for run in runs):
        return True
    numbers = {line["n"] for run, epoch in sides for line in run.evals if line["epoch"] == epoch}
    if len(numbers) > 1:
        return True
    try:
        found = [_answers(run.folder, str(run.config.get("created")), epoch)[0] for run, epoch in sides]
    except (KeyError, Damaged):
        return False
    return not all(np.array_equal(found[0], each) for each in found)


def _numbers_of(
    task: Task, metric: str, labels: np.ndarray, first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> tuple:
    """A key of all that `paired_gap` reads."""
    return task.name, metric, len(first), *sums_of((labels, *first, *second))


@cached(LRUCache(maxsize=256), key=_numbers_of, lock=Lock())
def paired_gap(
    task: Task, metric: str, labels: np.ndarray, first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> ScoreGap:
    """`labels` (n,); `first` and `second` hold predicted class ids (n,) of one run a seed.

    Its draws take a quarter of a page's time, and every window of a room asks: kept by the numbers.
    """
    scores = [
        np.mean([METRICS[metric](labels, each, task.num_labels) for each in side]) for side in (first, second)
    ]
    low, high = paired_interval(task, metric, labels, first, second)
    return ScoreGap(difference=float(scores[0] - scores[1]), low=low, high=high, num_examples=len(labels))


@lru_cache(maxsize=64)
def _answers(folder: Path, created: str, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the split in ascending order, their labels, and the student's answers."""
    found = Run(folder).evaluation(epoch)
    order = np.argsort(found.index)
    return found.index[order], found.label[order], predictions(found.student_logits)[order]
