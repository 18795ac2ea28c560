"""Whose score is higher, and whether their examples can tell: two students answered the same sentences, so
their scores are compared sentence by sentence. Two intervals that overlap leave that open.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from kdviz.analysis.comparable import same_examples
from kdviz.metrics import METRICS, paired_interval
from kdviz.runs.arrays import Damaged
from kdviz.runs.reader import Run
from kdviz.tasks import TASKS, Task


@dataclass(frozen=True, kw_only=True)
class ScoreGap:
    """The score of the first run minus that of the second, over the same `num_examples`; `low` and `high` are
    its 95 % interval by the paired bootstrap over them.
    """

    difference: float
    low: float
    high: float
    num_examples: int

    @property
    def is_told_apart(self) -> bool:
        return self.low > 0 or self.high < 0

    @property
    def words(self) -> str:
        return f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def score_gap(first: Run, first_epoch: int, second: Run, second_epoch: int, metric: str) -> ScoreGap | None:
    """What tells the answers of two runs after these epochs apart; None where they are not stored, or are of
    other examples.
    """
    task = TASKS.get(first.task)
    if task is None or metric not in task.metrics or not same_examples(first, second):
        return None
    try:
        sides = [
            _answers(run.folder, str(run.config.get("created")), epoch)
            for run, epoch in ((first, first_epoch), (second, second_epoch))
        ]
    except (KeyError, Damaged):
        return None
    (index, labels, ours), (other_index, other_labels, theirs) = sides
    if not np.array_equal(index, other_index) or not np.array_equal(labels, other_labels):
        return None
    if max(array.max() for array in (labels, ours, theirs)) >= task.num_labels:
        return None
    return _gap(task, metric, labels, ours, theirs)


@lru_cache(maxsize=64)
def _answers(folder: Path, created: str, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the split in ascending order, their labels, and the student's answers."""
    found = Run(folder).evaluation(epoch)
    order = np.argsort(found.index)
    return found.index[order], found.label[order], found.student_logits.argmax(axis=1)[order]


def _gap(task: Task, metric: str, labels: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> ScoreGap:
    score = lambda answers: METRICS[metric](labels, answers, task.num_labels)
    low, high = paired_interval(task, metric, labels, [ours], [theirs])
    return ScoreGap(difference=score(ours) - score(theirs), low=low, high=high, num_examples=len(labels))
