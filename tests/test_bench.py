"""The benchmark: that it runs, keeps standard output to one JSON object, and forms its ratios within
repetitions.
"""

import json
import math

import pytest

from kdviz.bench import summary
from kdviz.cli import main


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
