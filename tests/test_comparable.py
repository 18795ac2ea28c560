"""Which runs count as comparable: verdicts, counterparts and scores are made of these alone."""

import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest

from kdviz.analysis.comparable import RECORDING, comparable, differences
from kdviz.config import RunConfig, has_effect
from kdviz.runs.reader import Run
from kdviz.ui.frame.scores import by_strategy
from kdviz.ui.frame.store import counterparts

DATA = {"source": "sample", "fingerprint": "f" * 16, "num_train": 100, "num_eval": 50}
OTHER = {
    "task": "rte",
    "student_checkpoint": "/other",
    "student_layers": 2,
    "terms": ("kl",),
    "epochs": 9,
    "epochs_per_layer": 2,
    "cosine_threshold": 0.5,
    "temperature": 2.0,
    "soft_weight": 2.0,
    "hard_weight": 0.5,
    "kl_weight": 2.0,
    "cos_weight": 2.0,
    "soft_throughout": True,
    "hard_labels": True,
    "freeze_finished": True,
    "classifier_only_last": True,
    "active_pairs": (0,),
    "matching": "last",
    "init": "random",
    "batch_size": 16,
    "learning_rate": 5e-5,
    "max_length": 32,
    "data_seed": 1,
    "teacher_epochs": 1,
    "teacher_learning_rate": 5e-5,
    "warmup_share": 0.2,
    "weight_decay": 0.1,
    "max_grad_norm": 2.0,
}
SETTLED = {
    "data": {**DATA, "fingerprint": "0" * 16},
    "data ": {**DATA, "num_train": 99},
    "data  ": {**DATA, "num_eval": 49},
    "teacher_weights_sha256": "1" * 64,
    "dtype": "bfloat16",
}


class Runs:
    """Writes run folders by their settings; the newest is listed first."""

    def __init__(self, root: Path):
        self.root, self.made = root, []

    def add(
        self, *, state: str = "finished", score: float = 0.5, more: dict | None = None, **settings
    ) -> Run:
        asked = {"strategy": "sid", "epochs": 8, "hard_labels": False, **settings}
        record = {
            "format_version": 1,
            **RunConfig(**asked).to_dict(),
            "data": DATA,
            "teacher_weights_sha256": "0" * 64,
            "dtype": "float32",
            "pairs": [[0, 1]],
            "teacher_num_layers": 6,
            "num_heads": 1,
            **{name.strip(): value for name, value in (more or {}).items()},
        }
        folder = self.root / f"run-{len(list(self.root.iterdir()))}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(record))
        (folder / "status.json").write_text(json.dumps({"state": state}))
        line = {
            "kind": "eval",
            "step": 1,
            "epoch": 8,
            "metrics": {"matthews": score},
            "mismatch": {"attention_kl": [0.1], "cls_distance": [0.1], "attention_kl_heads": [[0.1]]},
            "agreement": 1.0,
            "logit_kl": 0.1,
            "n": 50,
        }
        (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        self.made.insert(0, Run(folder))
        return self.made[0]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_every_setting_is_told_apart_or_named_here():
    """A new setting that nobody compares would make two different experiments one."""
    same_by_what_they_came_to = {"source", "data_dir", "teacher", "train_size", "eval_size"}
    known = {*OTHER, *RECORDING, *same_by_what_they_came_to, "strategy", "seed"}
    optional_terms = {item.name for item in fields(RunConfig) if item.name.endswith("_weight")}
    assert {item.name for item in fields(RunConfig)} == known | optional_terms


@pytest.mark.parametrize("name", OTHER)
def test_another_value_of_any_setting_parts_two_runs(runs, name):
    """Learning rate, terms, temperature and weights were once ignored, and the Start page's verdict was made
    of runs that differ in them.
    """
    beside = {"hard_labels": True} if name == "hard_weight" else {}
    one, other = runs.add(**beside), runs.add(**{**beside, name: OTHER[name]}, seed=1)
    assert comparable(one, runs.made) == [one] and comparable(other, runs.made) == [other]
    assert name in differences(one, other)
    assert set(comparable(one, runs.made, apart_from=(name, "seed"))) == {one, other}, "unless it is named"


@pytest.mark.parametrize("name", SETTLED)
def test_what_settings_came_to_parts_two_runs(runs, name):
    """The same words may have meant other data, another checkpoint or another arithmetic."""
    one = runs.add()
    runs.add(more={name: SETTLED[name]}, seed=1)
    assert comparable(one, runs.made) == [one]


def test_a_students_own_checkpoint_is_its_weights(runs):
    """A folder whose weights were replaced between two runs has the same name, and another student in it."""

    def started_from(name: str, weights: str, **settings) -> Run:
        return runs.add(student_checkpoint=name, more={"student_weights_sha256": weights * 64}, **settings)

    one, moved = started_from("/a", "1"), started_from("/b", "1", seed=1)
    other = started_from("/a", "2", seed=2)
    assert differences(one, other, apart_from=("seed",)) == ["student_checkpoint"]
    assert comparable(one, runs.made) == [moved, one] and comparable(other, runs.made) == [other]
    assert comparable(runs.add(student_checkpoint="/a", seed=3), runs.made) == [runs.made[0]], "not known"


def test_runs_that_differ_in_strategy_seed_or_recording_alone_are_comparable(runs):
    """Where and how much a run records, or by which words its data were asked for, changes no number."""
    one = runs.add()
    for settings in (
        {"seed": 1},
        {"strategy": "soft"},
        {"strategy": "hard", "seed": 4},
        {
            "snapshots": 3,
            "cache": "off",
            "checkpoints_mb": 0,
            "source": "folder",
            "data_dir": "/x",
            "seed": 2,
        },
        {"train_size": 100, "eval_size": 50, "teacher": "/same/weights", "seed": 3},
    ):
        runs.add(**settings)
    assert comparable(one, runs.made) == runs.made


@pytest.mark.parametrize("state", ["running", "queued", "stopped", "failed", "interrupted"])
def test_an_unfinished_run_is_compared_with_nothing(runs, state):
    """Its last evaluation is of an earlier epoch: a fair student would lose against itself."""
    one, other = runs.add(), runs.add(strategy="soft", state=state)
    assert comparable(one, runs.made) == [one]
    assert comparable(other, runs.made) == [one], "what goes on still has its finished counterparts"


def test_a_setting_without_effect_does_not_part_runs_but_any_two_agree(runs):
    """Soft labels alone have no epochs per layer: against `sid` with 2 they are still its baseline. Yet two
    `sid` that differ in it must not both stand beside one `soft`.
    """
    first, soft = runs.add(epochs_per_layer=1), runs.add(strategy="soft")
    second = runs.add(epochs_per_layer=2, seed=1)
    assert comparable(first, runs.made) == [soft, first]
    assert comparable(second, runs.made) == [second, soft]
    for member in comparable(soft, runs.made):
        for other in comparable(soft, runs.made):
            assert not differences(member, other, apart_from=("strategy", "seed"))
    assert not has_effect("epochs_per_layer", soft.config) and has_effect("epochs_per_layer", first.config)


def test_scores_and_counterparts_are_of_comparable_runs(runs):
    """Runs of the same seed overwrote each other, whatever else they differed in."""
    metric = "matthews"
    one = runs.add(strategy="all", score=0.5)
    soft = runs.add(strategy="soft", score=0.4)
    runs.add(strategy="soft", score=0.9, learning_rate=1e-3)
    runs.add(strategy="soft", score=0.95, state="stopped")
    runs.add(strategy="all", seed=1, score=0.7)
    rows = by_strategy(comparable(one, runs.made), metric)
    assert {row.strategy: (row.num_seeds, row.score) for row in rows} == {
        "soft": (1, 0.4),
        "all": (2, pytest.approx(0.6)),
    }
    assert counterparts(one, runs.made) == [soft]


def test_foreign_settings_part_runs_and_break_nothing(runs):
    """A hand-edited config.json is one run among a thousand."""
    one = runs.add()
    for more in ({"terms": None}, {"terms": {"a": []}}, {"matching": [[1]]}, {"data": {}}, {"epochs": "8"}):
        with suppress(ValueError):  # the reader may refuse it before
            runs.add(more=more, seed=1)
    assert comparable(one, runs.made) == [one]
