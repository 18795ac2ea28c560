"""What is said where a run's file cannot be what it should, and which of several runs a name means."""

import re

import numpy as np
import pytest
from folders import make_run
from safetensors.numpy import save_file

from kdviz.runs.arrays import Damaged, read_arrays
from kdviz.runs.reader import Run
from kdviz.runs.records import Malformed, check_config, check_sizes
from kdviz.runs.store import Store

CONFIG = {
    "task": "cola",
    "strategy": "all",
    "seed": 0,
    "pairs": [[0, 1], [1, 3]],
    "student_layers": 2,
    "teacher_num_layers": 4,
    "num_heads": 3,
}
STAGE = {"layers": [0, 2], "classification": "soft"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"pairs": [[0, 1], [2, 4]]},
            "pairs: student layers from 0 to 1 and teacher layers from 0 to 3 (the lowest is 0) were "
            "expected, got 2 and 4",
        ),
        ({"stages": [STAGE]}, "stages: layers from 0 to 1 (the lowest is 0) were expected, got [0, 2]"),
    ],
)
def test_a_config_with_other_layers_says_that_files_begin_at_0(more, said):
    """Pages count from 1: who compares a page with the file would mend the wrong layer."""
    with pytest.raises(Malformed, match=re.escape(said)):
        check_config(CONFIG | more)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            {"stage": STAGE, "losses": {}},
            "stage: layers from 0 to 1 (the lowest is 0) were expected, got [0, 2]",
        ),
        (
            {"stage": STAGE | {"layers": [0]}, "losses": {"attention_kl": {"2": 0.1}}},
            "losses: layers from 0 to 1 (the lowest is 0) were expected, got ['2']",
        ),
    ],
)
def test_a_line_with_other_layers_says_that_files_begin_at_0(line, said):
    """The same of metrics.jsonl, whose stages and losses name layers too."""
    with pytest.raises(Malformed, match=re.escape(said)):
        check_sizes("train", {"step": 1, "epoch": 0.5, "loss": 0.1} | line, check_config(CONFIG))


def test_of_two_runs_of_one_name_the_first_folder_has_it(tmp_path):
    """A demo run that was copied into the runs folder stood twice in every list under the demo's name, and
    whichever was chosen, the copy was shown; their numbers were compared as two runs.
    """
    for root, strategy in (("runs", "soft"), ("demo", "all")):
        make_run(tmp_path / root, "one", strategy=strategy)
        make_run(tmp_path / root, root)
    store = Store(tmp_path / "runs", tmp_path / "demo")
    assert [run.id for run in store.runs()].count("one") == 1 and len(store.list()) == 3
    assert next(run for run in store.runs() if run.id == "one").folder == store.open("one").folder


def test_a_run_one_folder_deeper_is_pointed_at(tmp_path):
    """Archives are unpacked into a folder of their own name, and what lay in it was not said to be there."""
    make_run(tmp_path / "runs" / "one", "one")
    (tmp_path / "runs" / "empty").mkdir()
    reasons = {entry.id: entry.reason for entry in Store(tmp_path / "runs").list()}
    assert reasons["one"] == "it has no config.json, so it is not a run (but one in it is one: move that up)"
    assert reasons["empty"] == "it has no config.json, so it is not a run"


@pytest.mark.parametrize(
    "name", ["index", "label", "teacher_logits", "student_logits", "attention_kl", "cls_distance"]
)
def test_a_single_number_where_answers_are_expected_is_damage(tmp_path, name):
    """`show` and `report` ended in a traceback on a run that others sent."""
    run = Run(make_run(tmp_path, "one"))
    path = run.files.evaluation(run.evaluated_epochs[-1])
    save_file({**read_arrays(path), name: np.array(5)}, path)
    with pytest.raises(Damaged, match=rf"{name} of shape .* got \(\)"):
        run.evaluation(run.evaluated_epochs[-1])
    assert run.evaluated_rows == []
