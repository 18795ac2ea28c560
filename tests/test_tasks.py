"""Metrics and their intervals, against scikit-learn and against a real resampling."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from kdviz.errors import RequestError
from kdviz.metrics import METRIC_TITLES, METRICS, majority_share, score_intervals, scores
from kdviz.tasks import TASKS, task_named

REFERENCES = {
    "accuracy": reference.accuracy_score,
    "matthews": reference.matthews_corrcoef,
    "f1": lambda labels, predictions: reference.f1_score(labels, predictions, zero_division=0),
    "f1_weighted": lambda labels, predictions: reference.f1_score(
        labels, predictions, average="weighted", zero_division=0
    ),
}


def reference_score(name: str, labels: np.ndarray, predictions: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # scikit-learn warns where a class is missing; its value is what counts
        return REFERENCES[name](labels, predictions)


def answers(num_labels: int):
    """Labels and predictions of the same random length, classes missing from either side included."""
    return st.integers(1, 60).flatmap(
        lambda n: st.tuples(
            *[st.lists(st.integers(0, num_labels - 1), min_size=n, max_size=n).map(np.array)] * 2
        )
    )


@settings(deadline=None, max_examples=150)
@given(answers(2))
def test_metrics_of_two_classes_equal_scikit_learns(pair):
    """A wrong denominator, or F1 of the wrong class, gives plausible numbers that nobody questions."""
    labels, predictions = pair
    for name, metric in METRICS.items():
        assert metric(labels, predictions, 2) == pytest.approx(
            reference_score(name, labels, predictions), abs=1e-12
        ), name


@settings(deadline=None, max_examples=100)
@given(answers(3))
def test_metrics_of_three_classes_equal_scikit_learns(pair):
    """MNLI has three classes: a table of counts made for two would mix them up without an error."""
    labels, predictions = pair
    for name in ("accuracy", "f1_weighted"):
        assert METRICS[name](labels, predictions, 3) == pytest.approx(
            reference_score(name, labels, predictions), abs=1e-12
        ), name


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [0, 1, 1], [1], [0]])
@pytest.mark.parametrize("answer", [0, 1])
def test_a_model_that_always_says_the_same_has_defined_scores(labels, answer):
    """Collapsed students are common on CoLA: a division by zero there would be NaN in the files and holes in
    the curves.
    """
    labels, predictions = np.array(labels), np.full(len(labels), answer)
    for name, metric in METRICS.items():
        value = metric(labels, predictions, 2)
        assert np.isfinite(value) and value == pytest.approx(reference_score(name, labels, predictions)), name


def test_perfect_and_inverted_answers():
    """The ends of each scale, by hand, so that an error common to us and a reference would show."""
    labels = np.array([0, 1, 1, 0, 1])
    assert [METRICS[name](labels, labels, 2) for name in METRICS] == [1, 1, 1, 1]
    assert METRICS["matthews"](labels, 1 - labels, 2) == -1
    assert METRICS["accuracy"](labels, 1 - labels, 2) == METRICS["f1"](labels, 1 - labels, 2) == 0


def test_weighted_f1_is_not_the_f1_of_the_positive_class():
    """The paper's table uses the weighted one: with the two swapped, no number would match it, and none would
    look wrong.
    """
    labels, predictions = np.array([1, 1, 1, 0]), np.array([1, 1, 1, 1])
    assert METRICS["f1"](labels, predictions, 2) == pytest.approx(6 / 7)
    assert METRICS["f1_weighted"](labels, predictions, 2) == pytest.approx(3 / 4 * 6 / 7)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_is_scored_by_its_own_metrics(task):
    """A metric without a function, a title or an interval would break the page of that one task only."""
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, task.num_labels, (2, 50))
    found = scores(task, labels, predictions)
    assert list(found) == list(task.metrics) and set(found) <= set(METRIC_TITLES)
    assert found == {name: pytest.approx(reference_score(name, labels, predictions)) for name in task.metrics}
    assert list(score_intervals(task, labels, predictions)) == list(task.metrics)


def test_the_tasks_follow_the_papers_and_the_hubs_conventions():
    """RTE's label 0 is entailment on the hub and WNLI's is not: swapped ids train well and mean the
    opposite.
    """
    assert TASKS["cola"].metrics[0] == "matthews"
    assert {"accuracy", "f1", "f1_weighted"} == set(TASKS["qqp"].metrics) == set(TASKS["mrpc"].metrics)
    assert TASKS["rte"].labels == TASKS["qnli"].labels == ("entailment", "not entailment")
    assert TASKS["wnli"].labels == ("not entailment", "entailment")
    assert TASKS["mnli"].labels == ("entailment", "neutral", "contradiction")
    for task in TASKS.values():
        assert len(task.labels) == len(task.label_names) == task.num_labels
        assert len(task.folder_columns) == len(task.hub_columns) == 1 + task.is_pair
    assert list(TASKS) == ["cola", "qqp", "mrpc", "rte", "sst2", "mnli", "qnli", "wnli"], (
        "in this order on screens"
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_name_of_a_class_is_a_word_of_one_class(task):
    """A checkpoint's labels are understood by these: a name of two classes, or a letter for a name, turns the
    teacher's answers around.
    """
    names = [" ".join(name.lower().replace("_", " ").split()) for names in task.all_names for name in names]
    assert all(len(name) > 2 for name in names)
    for one, other in itertools.combinations(task.all_names, 2):
        assert not set(one) & set(other)
    assert len(task.all_names) == task.num_labels


@pytest.mark.parametrize("name", ["cola", "mrpc", "mnli"])
@pytest.mark.parametrize("num_examples", [40, 300])
def test_intervals_are_those_of_resampling_the_examples(name, num_examples):
    """The interval is drawn over the table of counts for speed; were that another distribution, every claim
    beside it would be wrong.
    """
    task = TASKS[name]
    rng = np.random.default_rng(3)
    labels = rng.integers(0, task.num_labels, num_examples)
    predictions = np.where(
        rng.random(num_examples) < 0.7, labels, rng.integers(0, task.num_labels, num_examples)
    )
    found = score_intervals(task, labels, predictions, num_resamples=4000)
    rows = rng.integers(0, num_examples, (4000, num_examples))
    for metric in task.metrics:
        resampled = [METRICS[metric](labels[row], predictions[row], task.num_labels) for row in rows]
        assert found[metric] == pytest.approx(
            list(np.quantile(resampled, [0.025, 0.975])), abs=0.03 if num_examples == 40 else 0.012
        )


def test_intervals_hold_the_score_and_are_the_same_each_time():
    """An interval that changes with every look, or excludes its own score, makes a table that cannot be
    cited.
    """
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 120)
    predictions = np.where(rng.random(120) < 0.8, labels, 1 - labels)
    found = score_intervals(TASKS["qqp"], labels, predictions)
    assert found == score_intervals(TASKS["qqp"], labels, predictions)
    for name, value in scores(TASKS["qqp"], labels, predictions).items():
        assert found[name][0] < value < found[name][1]


@pytest.mark.parametrize("labels, predictions", [([1], [1]), ([0], [1]), ([1, 1], [0, 0]), ([0, 1], [0, 1])])
def test_intervals_of_few_or_constant_answers_are_finite(labels, predictions):
    """A resample without a class divides by zero; NaN is not JSON and would stop the run at its first
    evaluation.
    """
    for low, high in score_intervals(TASKS["cola"], np.array(labels), np.array(predictions)).values():
        assert np.isfinite([low, high]).all() and low <= high
    for low, high in score_intervals(TASKS["mrpc"], np.array(labels), np.array(predictions)).values():
        assert np.isfinite([low, high]).all() and 0 <= low <= high <= 1


def test_majority_share():
    """The warning that a teacher learnt nothing rests on it."""
    assert majority_share(np.array([1, 1, 0, 1])) == 0.75
    assert majority_share(np.array([2])) == 1.0


def test_an_unknown_task_is_refused_with_the_known_ones():
    """Whoever mistypes a task must learn from the one line what to type."""
    with pytest.raises(RequestError, match="expected one of cola, qqp.*got 'colla'") as caught:
        task_named("colla")
    assert caught.value.field == "task"
