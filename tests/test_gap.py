"""Whose score is higher: what two students answered is compared sentence by sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from folders import make_run
from scipy import stats

from kdviz.analysis.gap import paired_gap, score_gap
from kdviz.files import write_arrays
from kdviz.metrics import METRICS, paired_interval, score_intervals, scores
from kdviz.runs.reader import Run
from kdviz.tasks import TASKS
from kdviz.ui.frame.scores import by_strategy, spread_text, verdict, verdict_of_pair

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 2, 300)
SOFT = np.where(RANDOM.random(300) < 0.6, LABELS, 1 - LABELS)
BETTER = np.where(np.arange(300) % 20 == 0, LABELS, SOFT)
"""Right wherever SOFT is, and some more: each interval alone holds the other's score."""
OTHER = SOFT.copy()
OTHER[np.flatnonzero(SOFT != LABELS)[:15]] ^= 1
OTHER[np.flatnonzero(SOFT == LABELS)[:12]] ^= 1
"""Right on 15 where SOFT is wrong, and wrong on 12 where it is right."""


def _run(
    root: Path, strategy: str, answers: np.ndarray, *, turned: bool = False, seed: int = 0, **data: object
) -> Run:
    """A run that ends with these answers to LABELS; `turned`: its rows are stored the other way round."""
    name = f"{strategy}{seed or ''}"
    folder = make_run(root, name, strategy=strategy, seed=seed, num_eval=len(LABELS), epochs=1)
    order = slice(None, None, -1) if turned else slice(None)
    found = Run(folder).evaluation(1)
    arrays = {**vars(found), "label": LABELS, "student_logits": np.eye(2)[answers]}
    arrays = {
        name: np.ascontiguousarray(np.asarray(each, dtype=np.float32 if each.ndim == 2 else np.int64)[order])
        for name, each in arrays.items()
    }
    write_arrays(folder / "evaluations" / "epoch_0001.safetensors", arrays)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "eval":
            line["metrics"] = scores(TASKS["cola"], LABELS, answers)
            line["intervals"] = score_intervals(TASKS["cola"], LABELS, answers)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = json.loads((folder / "config.json").read_text())
    config["data"].update(data)
    config["init"] = "teacher"  # its classifier came trained, whatever the stages of one epoch are
    (folder / "config.json").write_text(json.dumps(config))
    return Run(folder)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize(
    ("task", "metric"), [("rte", "accuracy"), ("cola", "matthews"), ("mnli", "accuracy")]
)
def test_the_paired_interval_is_scipys(task: str, metric: str, seeds: int):
    """Tables of counts drawn along the wrong axis, or for each model by itself, give the interval of other
    models.
    """
    num = TASKS[task].num_labels
    draw = np.random.default_rng(1)
    labels = draw.integers(0, num, 400)
    first, second = (
        [np.where(draw.random(400) < right, labels, draw.integers(0, num, 400)) for _ in range(seeds)]
        for right in (0.7, 0.5)
    )

    def gap(labels: np.ndarray, *answers: np.ndarray) -> float:
        scored = [METRICS[metric](labels, each, num) for each in answers]
        return np.mean(scored[:seeds]) - np.mean(scored[seeds:])

    found = stats.bootstrap(
        (labels, *first, *second),
        gap,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=draw,
    ).confidence_interval
    ours = paired_interval(TASKS[task], metric, labels, first, second)
    assert ours == pytest.approx((found.low, found.high), abs=0.012)
    assert ours == paired_interval(TASKS[task], metric, labels, first, second)
    assert paired_interval(TASKS[task], metric, labels, first, first) == (0, 0)


def test_two_students_are_told_apart_by_the_sentences_that_both_answered(tmp_path: Path):
    """Two intervals that overlap say nothing of a difference: a student that is right wherever the other is,
    and more often, would be said to be no better.
    """
    soft, better = _run(tmp_path, "soft", SOFT), _run(tmp_path, "all", BETTER, turned=True)
    low, high = better.evals[-1]["intervals"]["accuracy"][0], soft.evals[-1]["intervals"]["accuracy"][1]
    assert low < high, "the intervals overlap"
    gap = score_gap([(better, 1)], [(soft, 1)], "accuracy")
    assert gap.is_told_apart and gap.num_examples == 300 and gap.low > 0
    assert gap.difference == pytest.approx((BETTER == LABELS).mean() - (SOFT == LABELS).mean())
    assert score_gap([(soft, 1)], [(better, 1)], "accuracy").difference == -gap.difference
    assert not score_gap([(_run(tmp_path, "sid", OTHER), 1)], [(soft, 1)], "accuracy").is_told_apart


def test_a_handful_of_examples_tells_nobody_apart():
    """Right on all of five where the other is wrong on all has an interval without width: it read as sure."""
    labels = np.array([0, 1, 1, 0, 1, 1, 0])
    for number, is_sure in ((1, False), (5, False), (7, True)):
        few = labels[:number]
        gap = paired_gap(TASKS["rte"], "accuracy", few, [few], [1 - few])
        assert (gap.low, gap.high) == (1, 1) and gap.is_told_apart == is_sure


def test_answers_of_an_untrained_classifier_have_no_verdict(tmp_path: Path):
    """ "Soft labels score higher" stood above "its answers say nothing"."""
    runs = [_run(tmp_path, "soft", BETTER), Run(make_run(tmp_path, "pid", strategy="pid", epochs=6))]
    lines, names = {run.id: run.evals[1] for run in runs}, {run.id: run.id for run in runs}
    for pair in (runs, runs[::-1]):
        said = verdict_of_pair(pair, lines, names, "matthews")
        assert said == "The classifier of “pid” is not trained yet, so there is no verdict."
    lines["pid"] = runs[1].evals[-1]
    assert "no verdict" not in verdict_of_pair(runs, lines, names, "matthews")


def test_a_verdict_on_runs_of_unlike_progress_names_their_epochs(tmp_path: Path):
    """A run that was stopped after one of six epochs was said to score lower than one that went on, as if
    that were its strategy's doing.
    """
    runs = [Run(make_run(tmp_path, name, strategy=name, epochs=6)) for name in ("soft", "all")]
    names = {run.id: run.id for run in runs}
    lines = {"soft": runs[0].evals[1], "all": runs[1].evals[-1]}
    said = verdict_of_pair(runs, lines, names, "matthews")
    assert "“soft” after epoch 1" in said and "“all” after epoch 6" in said
    lines["soft"] = runs[0].evals[-1]
    assert "after epoch" not in verdict_of_pair(runs, lines, names, "matthews")


def test_what_is_not_the_same_examples_has_no_gap(tmp_path: Path):
    """Row 7 of the sample data is another sentence than row 7 of GLUE."""
    soft, other = _run(tmp_path, "soft", SOFT), _run(tmp_path, "all", BETTER, fingerprint="beef")
    assert score_gap([(other, 1)], [(soft, 1)], "accuracy") is None
    assert score_gap([(soft, 1)], [(soft, 7)], "accuracy") is None, "an epoch that is not stored"
    assert score_gap([(soft, 1)], [(soft, 1)], "f1") is None, "a metric that the task does not have"


def test_first_screen_and_answers_say_what_the_examples_can_tell(tmp_path: Path):
    """The Studies page would tell two students apart that the first screen cannot."""
    runs = [_run(tmp_path, "soft", SOFT), _run(tmp_path, "all", BETTER), _run(tmp_path, "sid", OTHER)]
    rows = by_strategy(runs, "matthews")
    assert "**scores higher**" in verdict(rows, "matthews", "all")
    assert "cannot tell them apart" in verdict(rows, "matthews", "sid")
    lines, names = {run.id: run.evals[-1] for run in runs}, {run.id: run.id for run in runs}
    soft, better, other = runs
    for pair in ((soft, better), (better, soft)):
        said = verdict_of_pair(pair, lines, names, "matthews")
        assert said.startswith("“all” scores higher than “soft”: +") and said.endswith(
            "; this is one seed each."
        )
    assert "cannot tell them apart" in verdict_of_pair((other, soft), lines, names, "matthews")


def test_a_verdict_is_of_the_seeds_that_both_have(tmp_path: Path):
    """Three seeds of one strategy beside one of another: the newest run of each, of two seeds, said "scores
    higher" of the one that the same seed shows to be lower.
    """
    right = np.flatnonzero(SOFT == LABELS)
    worse, far_worse = (np.where(np.isin(np.arange(300), right[:few]), 1 - SOFT, SOFT) for few in (20, 80))
    softs = [
        _run(tmp_path, "soft", each, seed=seed) for seed, each in enumerate((SOFT, far_worse, far_worse))
    ]
    mean = np.mean([run.evals[-1]["metrics"]["accuracy"] for run in softs])
    one = _run(tmp_path, "all", worse)
    assert one.evals[-1]["metrics"]["accuracy"] > mean
    for runs in ([*softs, one], [one, *reversed(softs)]):
        rows = by_strategy(runs, "accuracy")
        assert "**scores lower**" in verdict(rows, "accuracy", "all")
        assert spread_text(rows).endswith("range over the seeds, of one seed the 95 % interval")


def test_several_seeds_are_compared_by_their_examples_too(tmp_path: Path):
    """By the range of three seeds alone nothing is told that the Studies page tells of the same runs."""
    wrong = np.flatnonzero(SOFT != LABELS)
    answers = lambda seed, mended: np.where(
        np.isin(np.arange(300), np.roll(wrong, seed)[:mended]), LABELS, SOFT
    )
    softs = [_run(tmp_path, "soft", answers(seed, 12 * seed), seed=seed) for seed in range(3)]
    alls = [_run(tmp_path, "all", answers(seed, 12 * seed + 12), seed=seed) for seed in range(3)]
    rows = by_strategy([*softs, *alls], "accuracy")
    assert rows[1].low < rows[0].high, "the ranges overlap"
    assert "**scores higher**, as these examples can tell of 3 seeds" in verdict(rows, "accuracy", "all")
