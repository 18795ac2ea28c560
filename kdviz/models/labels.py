"""What a fine-tuned checkpoint's classes mean: which of them is which class of the task.

The order of a classifier's rows is a convention of whoever trained it: RTE's entailment is class 0 on the
hub's data set and class 1 in many checkpoints. It is read from the names in config.json's `id2label`, and
where these say nothing (LABEL_0, LABEL_1) it is measured on the evaluation set.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdviz.metrics import NO_ANSWER, predictions, recorded_scores
from kdviz.task import Task
from kdviz.text import decimals

NAMES, MEASURED = "names", "measured"


@dataclass(frozen=True, kw_only=True)
class LabelOrder:
    """Where the task's classes are in a classifier: class `k` of the task is its row `rows[k]`.

    `source`: NAMES (id2label says so), MEASURED (the order with the best score). `message`
    says it in one sentence, `scores` what each measured order reached; None where some answers are not
    finite.
    """

    rows: tuple[int, ...]
    source: str
    message: str
    scores: dict[str, float | None]

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": list(self.rows),
            "source": self.source,
            "message": self.message,
            "scores": self.scores,
        }


def label_names(config: Mapping[str, Any], num_labels: int | None) -> tuple[str, ...] | None:
    """The names of a classifier's classes in config.json: those of id2label, of label2id where that is left
    out or says nothing; None where both say nothing or contradict each other.
    """
    forward, backward = (
        value if isinstance(value := config.get(key), dict) else {} for key in ("id2label", "label2id")
    )
    if all(_says_nothing(str(name)) for name in forward.values()):
        return _names_by_row([(row, name) for name, row in backward.items()], num_labels)
    names = _names_by_row(forward.items(), num_labels)
    rows = {_plain(str(name)): str(row) for name, row in backward.items()}
    contradicted = any(rows.get(_plain(name), str(row)) != str(row) for row, name in enumerate(names or ()))
    return None if contradicted else names


def _names_by_row(named: Collection[tuple[Any, Any]], num_labels: int | None) -> tuple[str, ...] | None:
    """The names in the order of their rows; None where not every row has one that says something, its own."""
    if not num_labels or len(named) != num_labels:
        return None
    try:
        by_row = {int(row): str(name) for row, name in named}
        names = tuple(by_row[row] for row in range(num_labels))
    except (KeyError, TypeError, ValueError):
        return None
    if len({_plain(name) for name in names}) < num_labels or any(_says_nothing(name) for name in names):
        return None
    return names


def rows_by_name(names: Sequence[str] | None, task: Task) -> tuple[int, ...] | None:
    """The row of each of the task's classes; None where the names are not those of the task."""
    if names is None or len(names) != task.num_labels:
        return None
    meant = [_class_meant(name, task) for name in names]
    if sorted(number for number in meant if number is not None) != list(range(task.num_labels)):
        return None
    return tuple(meant.index(number) for number in range(task.num_labels))


def order_by_names(names: Sequence[str], rows: tuple[int, ...], task: Task) -> LabelOrder:
    """The order that a classifier's names for its classes tell: `rows` of `rows_by_name`."""
    listed = ", ".join(f"{number} = {name}" for number, name in enumerate(names))
    same = rows == tuple(range(task.num_labels))
    return LabelOrder(
        rows=rows,
        source=NAMES,
        message=f"The teacher's classes are taken by their names ({listed}), "
        + ("which is the task's own order." if same else "which is another order than the task's."),
        scores={},
    )


def measured_order(logits: np.ndarray, labels: np.ndarray, task: Task) -> LabelOrder:
    """The order of the classes under which a classifier without names answers best.

    `logits` (n, classes) and `labels` (n,) of the evaluation set. What is compared is the mean over classes
    of the share answered rightly, so that always answering the most frequent class counts for nothing. The
    order as stored stands unless another one is better by more than chance (three standard errors at most):
    a teacher that has learnt nothing must not be reversed by luck. Nor is it on examples of one class, which
    a constant answer gets right. Logits that are not finite are no answer.
    """
    primary = task.primary_metric
    orders = list(itertools.permutations(range(task.num_labels)))
    answers = {rows: predictions(logits[:, rows]) for rows in orders}
    counts = np.bincount(labels, minlength=task.num_labels)
    there = np.flatnonzero(counts)
    right = {}
    for rows in orders:
        hits = answers[rows] == labels
        right[rows] = float(np.mean([hits[labels == number].mean() for number in there]))
    stored = orders[0]
    best = max(orders, key=lambda rows: (right[rows], rows == stored))
    margin = 3 * float(np.sqrt((1 / counts[there]).sum())) / len(there)
    chosen = best if len(there) > 1 and right[best] - right[stored] > margin else stored
    shown = {}
    for rows in orders:
        score = recorded_scores(task, labels, answers[rows])[primary]
        shown[_order_name(rows, task)] = None if score is None else round(score, 4)
    listed = "; ".join(f"{name}: {decimals(score)}" for name, score in shown.items())
    num_unanswered = int((answers[stored] == NO_ANSWER).sum())
    if num_unanswered:
        listed += f"; {num_unanswered} have no answer: their numbers are not finite"
    others = [right[rows] for rows in orders if rows != chosen]
    unclear = right[chosen] - max(others) <= margin
    message = (
        f"The checkpoint does not name its classes, so each order was measured on {len(labels)} evaluation "
        f"examples ({primary}: {listed}). Taken: {_order_name(chosen, task)}, "
    )
    if unclear:
        message += (
            "as stored, though no order is better by more than chance: is this checkpoint fine-tuned for "
            f"{task.title}?"
        )
    else:
        message += "because it answers best" + (", as stored." if chosen == stored else ".")
    return LabelOrder(rows=chosen, source=MEASURED, message=message, scores=shown)


def _order_name(rows: tuple[int, ...], task: Task) -> str:
    """The classes in the order of the classifier's rows."""
    return ", ".join(f"{row} = {task.labels[rows.index(row)]}" for row in range(task.num_labels))


def _plain(name: str) -> str:
    """A name without case, camel case, underscores, hyphens and letters of another width."""
    name = unicodedata.normalize("NFKC", name)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[\W_]+", " ", spaced.casefold()).split())


def _says_nothing(name: str) -> bool:
    """Whether a name is a number, or an answer to a question that it does not tell."""
    return bool(re.fullmatch(r"(label|class|output)? ?\d*|yes|no|true|false|on|off", _plain(name)))


def _class_meant(name: str, task: Task) -> int | None:
    """The task's class that a name means, by the task's own words for it."""
    plain = _plain(name).removeprefix(f"{_plain(task.name)} ")
    for number, words in enumerate(task.all_names):
        if plain in {_plain(word) for word in words}:
            return number
    if task.num_labels == 2:
        for negation in ("not ", "non ", "no ", "non", "un", "in", "dis"):
            if plain.startswith(negation):
                opposite = plain.removeprefix(negation)
                for number, words in enumerate(task.all_names):
                    if opposite in {_plain(word) for word in words}:
                        return 1 - number
    return None
