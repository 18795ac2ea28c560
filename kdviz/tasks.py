"""The GLUE classification tasks, a row each, and the metrics they are judged by."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kdviz.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Task:
    """One GLUE task: where its columns are, what its labels mean, what it is judged by.

    `labels` are in the order of the hub's class ids. `metrics` name entries of METRICS; the first is the
    primary one. `folder_columns` are header names in the GLUE release's files, or column numbers where a file
    has no header. `hub_columns` are the text columns of `nyu-mll/glue`. `dev_splits` maps our names to (file,
    hub split). `label_names` are the texts of the labels in the release's files ("0"/"1" unless the files
    spell them out). `damage` names what is wrong with rows of the release itself, which every loader skips:
    "broken off" (too few columns: a line end within a question) and "unlabelled" (label "-": no agreement).
    `synonyms`: what else checkpoints of this task call each class.
    """

    name: str
    title: str
    question: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    folder: str
    folder_columns: tuple[str | int, ...]
    label_column: str | int
    hub_columns: tuple[str, ...]
    label_names: tuple[str, ...] = ("0", "1")
    num_columns: int | None = None
    damage: tuple[str, ...] = ()
    dev_splits: tuple[tuple[str, str, str], ...] = (("dev", "dev.tsv", "validation"),)
    synonyms: tuple[tuple[str, ...], ...] = ()

    @property
    def all_names(self) -> tuple[tuple[str, ...], ...]:
        """Every name of each class that says more than a number: label, text in the files, synonyms."""
        extra = self.synonyms or ((),) * self.num_labels
        names = zip(self.labels, self.label_names, extra, strict=True)
        return tuple((label, *(() if text.isdigit() else (text,)), *others) for label, text, others in names)

    @property
    def is_pair(self) -> bool:
        return len(self.hub_columns) == 2

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]

    @property
    def num_labels(self) -> int:
        return len(self.labels)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="cola",
            title="CoLA",
            question="Is this an acceptable English sentence?",
            labels=("unacceptable", "acceptable"),
            metrics=("matthews", "accuracy"),
            folder="CoLA",
            folder_columns=(3,),
            label_column=1,
            num_columns=4,
            hub_columns=("sentence",),
            synonyms=(
                ("unacceptable", "ungrammatical", "incorrect"),
                ("acceptable", "grammatical", "correct"),
            ),
        ),
        Task(
            name="qqp",
            title="QQP",
            question="Do these two questions ask the same?",
            labels=("not duplicate", "duplicate"),
            metrics=("accuracy", "f1", "f1_weighted"),
            folder="QQP",
            folder_columns=("question1", "question2"),
            label_column="is_duplicate",
            damage=("broken off",),
            hub_columns=("question1", "question2"),
            synonyms=(
                ("not duplicate", "different"),
                ("is duplicate", "duplicates", "same", "paraphrase", "equivalent"),
            ),
        ),
        Task(
            name="mrpc",
            title="MRPC",
            question="Do these two sentences say the same?",
            labels=("not equivalent", "equivalent"),
            metrics=("accuracy", "f1", "f1_weighted"),
            folder="MRPC",
            folder_columns=("#1 String", "#2 String"),
            label_column="Quality",
            hub_columns=("sentence1", "sentence2"),
            synonyms=(
                ("not equivalent", "different"),
                ("equivalent", "paraphrase", "semantically equivalent", "same", "duplicate"),
            ),
        ),
        Task(
            name="rte",
            title="RTE",
            question="Does the first text entail the second?",
            labels=("entailment", "not entailment"),
            metrics=("accuracy",),
            folder="RTE",
            folder_columns=("sentence1", "sentence2"),
            label_column="label",
            label_names=("entailment", "not_entailment"),
            hub_columns=("sentence1", "sentence2"),
            synonyms=(
                ("entailment", "entailed", "entails"),
                ("not entailment"),
            ),
        ),
        Task(
            name="sst2",
            title="SST-2",
            question="Is this opinion positive?",
            labels=("negative", "positive"),
            metrics=("accuracy",),
            folder="SST-2",
            folder_columns=("sentence",),
            label_column="label",
            hub_columns=("sentence",),
            synonyms=(("negative", "neg", "bad"), ("positive", "pos", "good")),
        ),
        Task(
            name="mnli",
            title="MNLI",
            question="Does the first text entail, contradict or leave open the second?",
            labels=("entailment", "neutral", "contradiction"),
            metrics=("accuracy",),
            folder="MNLI",
            folder_columns=("sentence1", "sentence2"),
            label_column="gold_label",
            damage=("unlabelled",),
            label_names=("entailment", "neutral", "contradiction"),
            hub_columns=("premise", "hypothesis"),
            dev_splits=(
                ("matched", "dev_matched.tsv", "validation_matched"),
                ("mismatched", "dev_mismatched.tsv", "validation_mismatched"),
            ),
            synonyms=(("entails", "entailed"), ("neutrality",), ("contradictory", "contradicts")),
        ),
        Task(
            name="qnli",
            title="QNLI",
            question="Does the text answer the question?",
            labels=("entailment", "not entailment"),
            metrics=("accuracy",),
            folder="QNLI",
            folder_columns=("question", "sentence"),
            label_column="label",
            label_names=("entailment", "not_entailment"),
            hub_columns=("question", "sentence"),
            synonyms=(
                ("entailment", "entailed", "answer", "answerable"),
                ("not entailment"),
            ),
        ),
        Task(
            name="wnli",
            title="WNLI",
            question="Does the second sentence follow once the pronoun is resolved?",
            labels=("not entailment", "entailment"),
            metrics=("accuracy",),
            folder="WNLI",
            folder_columns=("sentence1", "sentence2"),
            label_column="label",
            hub_columns=("sentence1", "sentence2"),
            synonyms=(
                ("not entailment"),
                ("entailment", "entailed", "entails"),
            ),
        ),
    )
}


def task_named(name: str) -> Task:
    """The task of that name; RequestError naming the tasks there are."""
    if name not in TASKS:
        raise RequestError(
            f"task: expected one of {', '.join(TASKS)}, got {name!r}; choose one of them", field="task"
        )
    return TASKS[name]


def accuracy(labels: np.ndarray, predictions: np.ndarray, num_labels: int = 2) -> float:
    """Share of predictions equal to their label. Shapes (n,)."""
    return float(np.mean(labels == predictions))


def matthews(labels: np.ndarray, predictions: np.ndarray, num_labels: int = 2) -> float:
    """Matthews correlation of two classes in [-1, 1]; 0 where either side is constant (scikit-learn's
    convention).
    """
    counts = _confusion(labels, predictions, 2).astype(float)
    (true_negative, false_positive), (false_negative, true_positive) = counts
    scale = np.sqrt(counts.sum(axis=0).prod() * counts.sum(axis=1).prod())
    return float((true_positive * true_negative - false_positive * false_negative) / scale) if scale else 0.0


def f1(labels: np.ndarray, predictions: np.ndarray, num_labels: int = 2) -> float:
    """F1 of the positive class (id 1): the F1 of GLUE."""
    return float(_f1_per_class(labels, predictions, 2)[1])


def f1_weighted(labels: np.ndarray, predictions: np.ndarray, num_labels: int = 2) -> float:
    """Mean of the classes' F1, weighted by their support: the F1 of the paper's table."""
    support = np.bincount(labels, minlength=num_labels)
    return float((_f1_per_class(labels, predictions, num_labels) * support).sum() / support.sum())


METRICS: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "matthews": matthews,
    "f1": f1,
    "f1_weighted": f1_weighted,
}
METRIC_TITLES = {
    "accuracy": "Accuracy",
    "matthews": "Matthews correlation",
    "f1": "F1 of the positive class",
    "f1_weighted": "F1, support-weighted",
}


def scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """The task's metrics by name. Shapes (n,), class ids."""
    return {name: METRICS[name](labels, predictions, task.num_labels) for name in task.metrics}


def score_intervals(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    *,
    level: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Percentile bootstrap interval [low, high] of each of the task's metrics over examples.

    Every metric here is a function of the table of counts, so resampling the examples is drawing that table
    from a multinomial: the same distribution, at a thousandth of the work. Deterministic for a seed.
    """
    counts = _confusion(labels, predictions, task.num_labels)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(labels), counts.ravel() / counts.sum(), size=num_resamples)
    tables = draws.reshape(num_resamples, task.num_labels, task.num_labels).astype(float)
    edges = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: [float(edge) for edge in np.quantile(TABLE_METRICS[name](tables), edges)]
        for name in task.metrics
    }


def majority_share(labels: np.ndarray) -> float:
    """Share of the most frequent class: what answering always the same reaches."""
    return float(np.bincount(labels).max() / len(labels))


def _confusion(labels: np.ndarray, predictions: np.ndarray, num_labels: int) -> np.ndarray:
    """Counts (label, prediction)."""
    return np.bincount(np.asarray(labels) * num_labels + predictions, minlength=num_labels**2).reshape(
        num_labels, num_labels
    )


def _f1_per_class(labels: np.ndarray, predictions: np.ndarray, num_labels: int) -> np.ndarray:
    return _f1_of_tables(_confusion(labels, predictions, num_labels)[None].astype(float))[0]


def _f1_of_tables(tables: np.ndarray) -> np.ndarray:
    """F1 per class (..., classes) of tables (..., label, prediction); 0 where a class never occurs on either
    side.
    """
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    return np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)


def _matthews_of_tables(tables: np.ndarray) -> np.ndarray:
    top = tables[:, 1, 1] * tables[:, 0, 0] - tables[:, 0, 1] * tables[:, 1, 0]
    scale = np.sqrt(tables.sum(axis=1).prod(axis=1) * tables.sum(axis=2).prod(axis=1))
    return np.divide(top, scale, out=np.zeros_like(top), where=scale > 0)


TABLE_METRICS = {
    "accuracy": lambda tables: np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2)),
    "matthews": _matthews_of_tables,
    "f1": lambda tables: _f1_of_tables(tables)[:, 1],
    "f1_weighted": lambda tables: (
        (_f1_of_tables(tables) * tables.sum(axis=2)).sum(axis=1) / tables.sum(axis=(1, 2))
    ),
}
"""The same metrics of many tables of counts (tables, label, prediction) at once."""
