"""What tasks are judged by: metrics, each a function of the table of counts, and their intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kdviz.task import Task


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of a table of counts. `hub_name` is what the hub calls it, None where it has no name for it.

    `of_tables` of counts (tables, label, prediction) is (tables,). Called with labels and predictions (n,),
    a metric gives the one number.
    """

    title: str
    words: str
    hub_name: str | None
    of_tables: Callable[[np.ndarray], np.ndarray]

    def __call__(self, labels: np.ndarray, predictions: np.ndarray, num_labels: int = 2) -> float:
        return float(self.of_tables(confusion(labels, predictions, num_labels)[None].astype(float))[0])


NO_ANSWER = -1
"""What stands for the predicted class where a model's numbers are not finite."""


def predictions(logits: np.ndarray) -> np.ndarray:
    """Predicted class ids (n,) of (n, classes) logits; NO_ANSWER where a row is not finite: the largest of
    numbers that are none is no answer.
    """
    logits = np.asarray(logits)
    return np.where(np.isfinite(logits).all(axis=-1), logits.argmax(axis=-1), NO_ANSWER)


def confusion(labels: np.ndarray, predictions: np.ndarray, num_labels: int) -> np.ndarray:
    """Counts (label, prediction). ValueError where a prediction is NO_ANSWER: such a model has no score."""
    if np.min(predictions, initial=0) < 0:
        raise ValueError("a class for every example was expected, some have no answer")
    return np.bincount(np.asarray(labels) * num_labels + predictions, minlength=num_labels**2).reshape(
        num_labels, num_labels
    )


def _accuracy(tables: np.ndarray) -> np.ndarray:
    """Share of the predictions that are equal to their label."""
    return np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2))


def _matthews(tables: np.ndarray) -> np.ndarray:
    """Matthews correlation of two classes in [-1, 1]; 0 where either side is constant, as scikit-learn has
    it.
    """
    top = tables[:, 1, 1] * tables[:, 0, 0] - tables[:, 0, 1] * tables[:, 1, 0]
    scale = np.sqrt(tables.sum(axis=1).prod(axis=1) * tables.sum(axis=2).prod(axis=1))
    return np.divide(top, scale, out=np.zeros_like(top), where=scale > 0)


def _f1_by_class(tables: np.ndarray) -> np.ndarray:
    """F1 (tables, classes); 0 where a class never occurs on either side."""
    hits = np.diagonal(tables, axis1=1, axis2=2)
    both = tables.sum(axis=2) + tables.sum(axis=1)
    return np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)


def _f1(tables: np.ndarray) -> np.ndarray:
    """F1 of the positive class (id 1): the F1 of GLUE."""
    return _f1_by_class(tables)[:, 1]


def _f1_weighted(tables: np.ndarray) -> np.ndarray:
    """Mean of the classes' F1, weighted by their support: the F1 of the paper's table."""
    return (_f1_by_class(tables) * tables.sum(axis=2)).sum(axis=1) / tables.sum(axis=(1, 2))


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        title="Accuracy",
        words="Share of the evaluation examples that are answered rightly.",
        hub_name="accuracy",
        of_tables=_accuracy,
    ),
    "matthews": Metric(
        title="Matthews correlation",
        words="Matthews correlation: 1 is all right, 0 no better than guessing, also where one class is far "
        "more frequent than the other.",
        hub_name="matthews_correlation",
        of_tables=_matthews,
    ),
    "f1": Metric(
        title="F1 of the positive class",
        words="F1 of the positive class: high only where its examples are found and nothing else is taken "
        "for them.",
        hub_name="f1",
        of_tables=_f1,
    ),
    "f1_weighted": Metric(
        title="F1, support-weighted",
        words="F1 of each class, weighted by how frequent it is: the number in the paper's table.",
        hub_name=None,
        of_tables=_f1_weighted,
    ),
}
LEVEL = 0.95
EDGES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
NUM_PAIRED_RESAMPLES, RESAMPLES_AT_ONCE = 10_000, 500
METRIC_TITLES = {name: metric.title for name, metric in METRICS.items()}


def scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """The task's metrics by name. Shapes (n,), class ids."""
    return {name: METRICS[name](labels, predictions, task.num_labels) for name in task.metrics}


def recorded_scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float | None]:
    """`scores` as a file records them: None where not every example has an answer."""
    if np.min(predictions) < 0:
        return dict.fromkeys(task.metrics)
    return dict(scores(task, labels, predictions))


def recorded_intervals(
    task: Task, labels: np.ndarray, predictions: np.ndarray
) -> dict[str, list[float] | list[None]]:
    """`score_intervals` as a file records them: [None, None] where not every example has an answer."""
    if np.min(predictions) < 0:
        return {name: [None, None] for name in task.metrics}
    return dict(score_intervals(task, labels, predictions))


def score_intervals(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    *,
    num_resamples: int = 1000,
) -> dict[str, list[float]]:
    """The 95 % percentile bootstrap interval [low, high] of each of the task's metrics over the examples;
    class ids (n,) twice.

    Every metric here is a function of the table of counts, so resampling the examples is drawing that table
    from a multinomial: the same distribution, at a thousandth of the work. The same draws each time.
    """
    counts = confusion(labels, predictions, task.num_labels)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(labels), counts.ravel() / counts.sum(), size=num_resamples)
    tables = draws.reshape(num_resamples, task.num_labels, task.num_labels).astype(float)
    return {
        name: [float(edge) for edge in np.quantile(METRICS[name].of_tables(tables), EDGES)]
        for name in task.metrics
    }


def paired_interval(
    task: Task,
    metric: str,
    labels: np.ndarray,
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
) -> tuple[float, float]:
    """Percentile bootstrap interval of the metric of `first` minus that of `second`, each the mean over its
    seeds: one array (n,) of class ids a seed, all for the same examples, which are drawn for all of them
    together. The seeds are held fixed. As in `score_intervals` what is drawn is a table of counts, here of
    every combination of label and answers that occurs.
    """
    seen, counts = np.unique(np.stack([labels, *first, *second]), axis=1, return_counts=True)
    cells = np.eye(task.num_labels**2)[seen[0] * task.num_labels + seen[1:]]  # (models, combinations, cells)
    rng, gaps = np.random.default_rng(0), []
    for done in range(0, NUM_PAIRED_RESAMPLES, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, NUM_PAIRED_RESAMPLES - done)
        draws = rng.multinomial(len(labels), counts / len(labels), size=size).astype(float)
        tables = (draws @ cells).reshape(len(cells), size, task.num_labels, task.num_labels)
        scored = np.stack([METRICS[metric].of_tables(each) for each in tables])
        gaps.append(scored[: len(first)].mean(axis=0) - scored[len(first) :].mean(axis=0))
    low, high = np.quantile(np.concatenate(gaps), EDGES)
    return float(low), float(high)


def beats_constant_answer(accuracy: float, majority: float, num_examples: int) -> bool:
    """Whether it is right more often than the most frequent class alone, by two standard errors of that;
    never where there is no other class.
    """
    return majority < 1 and accuracy >= majority + 2 * math.sqrt(majority * (1 - majority) / num_examples)


def mean_of(values: Sequence[float | None]) -> float:
    """The mean, of matched pairs say; not a number where one is missing."""
    return sum(math.nan if value is None else value for value in values) / len(values) if values else math.nan


def majority_share(labels: np.ndarray) -> float:
    """Share of the most frequent class of labels (n,): what answering always the same reaches."""
    return float(np.bincount(labels).max() / len(labels))
