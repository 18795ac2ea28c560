"""The benchmark: that it runs, keeps standard output to one JSON object, and forms its ratios within
repetitions.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import TinyRuns

from kdviz.bench import summary
from kdviz.bench.loops import OwnLoop
from kdviz.cli import main
from kdviz.training.teacher_outputs import LiveOutputs


def test_ratios_are_formed_within_repetitions():
    """Ratios of medians would be wrong where the machine was busy in some repetitions: these numbers tell the
    two apart.
    """
    samples = {
        "trainer": [10.0, 100.0, 1000.0],
        "all_cached": [20.0, 150.0, 4000.0],
        "pid_stages.0": [60.0, 300.0, 8000.0],
        "pid_stages.1": [20.0, 150.0, 4000.0],
    }
    result = summary(samples)
    assert result["examples_per_second"] == {
        "trainer": 100.0,
        "all_cached": 150.0,
        "pid_stages": [300.0, 150.0],
    }
    assert result["ratios"]["all_cached/trainer"] == {"median": 2.0, "lowest": 1.5, "highest": 4.0}
    assert result["ratios"]["pid_stages/all_cached"]["median"] == pytest.approx(1.5)
    assert "hard/floor" not in result["ratios"]


def test_a_loop_is_timed_on_the_examples_it_is_given(tiny, tmp_path):
    """Growth over length was measured on the same short sentences once, and looked better than linear."""
    own = OwnLoop("own", tiny.config(strategy="all", max_length=48), tmp_path / "runs")
    train, seen = own.prepared.train, []
    layer = own.distillation.student.get_submodule("bert.encoder.layer.0")
    layer.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[1]))
    longer = replace(
        train,
        tokens=np.resize(train.tokens, 40 * len(train)),
        types=np.zeros(40 * len(train), dtype=np.uint8),
        offsets=np.arange(len(train) + 1) * 40,
    )
    own.train_on(longer, LiveOutputs(own.prepared.teacher, "live"))
    own.train()
    assert set(seen) == {40}


@pytest.mark.parametrize("name", ["bert", "distilbert"])
def test_the_limit_of_the_machine_is_measured_for_every_family(
    checkpoints, glue, tiny_runs_dir, tmp_path, name
):
    """Families call the width of their inner layer differently: the bench would break after minutes."""
    tiny = TinyRuns(checkpoints[name], glue, tiny_runs_dir)
    own = OwnLoop("own", tiny.config(strategy="all"), tmp_path / "runs")
    assert own.arithmetic_limit() > 0


@pytest.mark.slow
def test_prints_one_json_object_with_its_keys(capsys, tiny_checkpoint):
    """A stranger's script reads these names; a library's notice on standard output would break its JSON."""
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    arguments = [
        "--source",
        "sample",
        "--teacher",
        str(tiny_checkpoint),
        "--examples",
        "16",
        "--batch-size",
        "8",
        "--eval-size",
        "8",
        "--repetitions",
        "1",
        "--store-runs",
        "3",
        "--student-layers",
        "2",
        "--threads",
        "1",
        "--no-default-run",
    ]
    assert main(["bench", *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    speeds = result["examples_per_second"]
    assert {"trainer", "hard", "soft", "all_live", "all_cached", "pid_stages", "sid_stages"} <= speeds.keys()
    assert len(speeds["pid_stages"]) == len(speeds["sid_stages"]) == 2
    numbers = [
        number for value in speeds.values() for number in (value if isinstance(value, list) else [value])
    ]
    assert all(math.isfinite(number) and number > 0 for number in numbers)
    assert result["store"]["runs_with_scores"] == 3
    assert result["teacher_outputs"]["cached"].startswith("cached in memory") and result["teacher_outputs"][
        "live"
    ].startswith("live")
    assert {
        "evaluation",
        "own_sentence_milliseconds",
        "memory",
        "ratios",
        "settings",
        "machine",
    } <= result.keys()


def test_a_wrong_option_is_one_line(capsys):
    """Exit status 2 and one line, as for every other command."""
    assert main(["bench", "--repetitions", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
