"""Runs that are stopped at a chosen moment, and what two runs of the same numbers have in common."""

import sys
import threading
from pathlib import Path

import pytest
from conftest import metrics_lines

from kdviz.errors import Stopped
from kdviz.jobs.execute import execute
from kdviz.runs.reader import Run

SID = dict(strategy="sid", epochs=4)


class StopIn(threading.Event):
    """An event that is set from the `nth` time on that it is looked at inside a function of that name."""

    def __init__(self, function: str, nth: int):
        super().__init__()
        self.function, self.left = function, nth

    def is_set(self) -> bool:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != self.function:
            frame = frame.f_back
        self.left -= frame is not None
        return self.left <= 0


def stop_in(folder: Path, function: str, nth: int) -> None:
    """Carry the run on until that moment."""
    with pytest.raises(Stopped):
        execute(folder, stop=StopIn(function, nth), num_threads=1)
    assert Run(folder).state == "stopped"


def results(folder: Path) -> dict[str, bytes]:
    """Every file of results: what two runs of the same numbers have in common to the last bit."""
    names = ["predictions.jsonl", "probes.json", "student/model.safetensors", "student/config.json"]
    paths = [folder / name for name in names] + sorted(
        [
            *folder.glob("evaluations/*"),
            *folder.glob("snapshots/*"),
            *folder.glob("checkpoints/epoch_*/student/*"),
        ]
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def assert_same_run(one: Path, other: Path) -> None:
    # Whichever run needs a teacher first fine-tunes it; those lines are not the run's own training.
    first, second = (
        [line for line in metrics_lines(folder) if line["kind"] != "teacher"] for folder in (one, other)
    )
    assert first == second
    first, second = results(one), results(other)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
