"""Stopping in every phase: how much is still computed after somebody asked, counted in batches and not on a
clock.

Story 7 gives a run 5 s to end. What makes that true on every machine is that the run asks between any two
batches.
"""

import threading
from pathlib import Path

import pytest
import torch

from kdviz.data.encoded import EncodedSet
from kdviz.errors import Stopped
from kdviz.files import read_json
from kdviz.jobs.execute import execute
from kdviz.runs.reader import Run


class AskIn:
    """Asks to stop at the `nth` batch a model gets while the run says it is in `phase`; counts the batches
    begun from then on.
    """

    def __init__(self, folder: Path, phase: str, nth: int):
        self.stop, self.batches_after = threading.Event(), 0
        self._status, self._phase, self._left = folder / "status.json", phase, nth

    def __call__(self, module: torch.nn.Module, _inputs: object) -> None:
        if type(module).__name__ != "BertEmbeddings":
            return
        if self.stop.is_set():
            self.batches_after += 1
        elif read_json(self._status)["phase"] == self._phase:
            self._left -= 1
            if self._left == 0:
                self.stop.set()


@pytest.mark.parametrize(
    ("phase", "nth"),
    [
        ("teacher", 1),
        ("teacher", 8),
        ("teacher_outputs", 1),
        ("teacher_outputs", 5),
        ("evaluating", 1),
        ("evaluating", 12),
        ("distilling", 2),
        ("distilling", 9),
        ("measuring cost", 3),
    ],
)
def test_a_stop_is_heard_between_any_two_batches(tiny, tmp_path, monkeypatch, phase, nth):
    """A pass over a large set that does not listen keeps a lecturer waiting for minutes before thirty
    people.
    """
    whole = EncodedSet.evaluation_batches
    monkeypatch.setattr(
        EncodedSet, "evaluation_batches", lambda self: whole(self, 64)
    )  # many batches, as a large set has
    monkeypatch.setattr("kdviz.runs.writer.STATUS_INTERVAL_SECONDS", 0.0)
    folder = tiny.create("run", runs_dir=tmp_path, strategy="sid", epochs=3)
    asking = AskIn(folder, phase, nth)
    hook = torch.nn.modules.module.register_module_forward_pre_hook(asking)
    try:
        with pytest.raises(Stopped):
            execute(folder, stop=asking.stop, num_threads=1)
    finally:
        hook.remove()
    assert asking.stop.is_set() and asking.batches_after <= (phase == "distilling"), (
        "the probes may follow the step"
    )
    assert Run(folder).state == "stopped"
    execute(folder, num_threads=1)
    assert Run(folder).state == "finished" and [line["epoch"] for line in Run(folder).evals] == [0, 1, 2, 3]


def test_a_stop_while_loading_trains_nothing(tiny, tmp_path):
    """The first seconds are the likeliest for a second thought."""
    folder, stop = tiny.create("run", runs_dir=tmp_path), threading.Event()
    with pytest.raises(Stopped):
        execute(
            folder,
            stop=stop,
            num_threads=1,
            progress=lambda status: stop.set() if status["phase"] == "loading" else None,
        )
    assert (
        Run(folder).state == "stopped"
        and not (folder / "metrics.jsonl").exists()
        and not list(tmp_path.glob("teachers/*/model.safetensors"))
    )
