"""A disk that becomes full under a run: the run ends in one line, nothing it wrote is damaged, and it goes on
once there is room.

On a real small disk (a tmpfs), because every way of writing has to meet it: Python's, safetensors', the
appended lines.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stopped import assert_same_run

from kdviz.errors import RunFailed
from kdviz.files import take_place
from kdviz.jobs.execute import execute
from kdviz.jobs.queue import Queue
from kdviz.runs.epoch_weights import checkpoint_bytes
from kdviz.runs.reader import Run
from kdviz.runs.store import Store, Unreadable
from kdviz.training.request import resolve_request

SETTINGS = dict(strategy="sid", epochs=4)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with 160 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave not a byte."""
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0")
        except OSError:
            pass


class FillsTheDisk:
    """Fills the disk at the `nth` status of a phase."""

    def __init__(self, disk: Path, phase: str, nth: int):
        self.disk, self.phase, self.left = disk, phase, nth

    def __call__(self, status: dict) -> None:
        self.left -= status["phase"] == self.phase
        if self.left == 0:
            fill(self.disk)


@pytest.mark.parametrize(
    ("phase", "nth"),
    [
        ("loading", 1),
        ("teacher", 2),
        ("teacher_outputs", 1),
        ("distilling", 3),
        ("evaluating", 3),
        ("measuring cost", 1),
    ],
)
def test_a_full_disk_is_one_line_and_no_damage(tiny, straight, small_disk, monkeypatch, phase, nth):
    """Found out in a seminar: what the run had done must still be there, and must be right."""
    monkeypatch.setattr("kdviz.runs.writer.STATUS_INTERVAL_SECONDS", 0.0)
    folder = tiny.create("run", runs_dir=small_disk, **SETTINGS)
    with pytest.raises(RunFailed, match=r"^a file could not be .*No space left on device") as caught:
        execute(folder, num_threads=1, progress=FillsTheDisk(small_disk, phase, nth))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    [entry] = Store(small_disk).list()
    assert not isinstance(entry, Unreadable) and entry.state in ("failed", "interrupted")
    epochs = [line["epoch"] for line in entry.evals]
    assert epochs == list(range(len(epochs))) and (
        not epochs or entry.evaluated_epochs[: len(epochs)] == epochs
    )
    (small_disk / "filler").unlink()
    execute(folder, num_threads=1)
    assert Run(folder).state == "finished"
    assert_same_run(folder, straight(**SETTINGS).folder)


def test_a_full_disk_leaves_the_queue_working(tiny, small_disk):
    """The page must say why, although no file can be written that could; and the next run must get its
    turn.
    """
    folder = tiny.create("run", runs_dir=small_disk, **SETTINGS)
    after = tiny.create("after", runs_dir=small_disk, **SETTINGS)
    fill(small_disk)
    queue = Queue(small_disk)
    try:
        (small_disk / "filler").unlink()
        queue.take_up("run")
        fill(small_disk)
        queue._worker.join(0.1)
        end_of(queue, "run")
        assert "No space left" in queue.note("run") and "\n" not in queue.note("run")
        (small_disk / "filler").unlink()
        queue.take_up("after")
        end_of(queue, "after")
        assert Run(after).state == "finished" and Run(folder).state in ("failed", "interrupted", "queued")
    finally:
        queue.close()


def end_of(queue: Queue, run_id: str) -> None:
    import time

    end = time.monotonic() + 120
    while queue.current == run_id or queue.place(run_id):
        assert time.monotonic() < end
        time.sleep(0.05)


KEEP_OUTPUTS = """
import os
import sys
from pathlib import Path

import numpy as np

import kdviz.training.outputs_disk
from kdviz.data.encoded import Tokenizer
from kdviz.data.examples import Example
from kdviz.models.build import load_classifier
from test_full_disk import fill
from test_teacher_outputs import NEEDS, WORDS, outputs

checkpoint, disk, when = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
kdviz.training.outputs_disk.free_bytes = lambda folder: float("inf")
words = " ".join(WORDS)
rows = [Example(index=number, text_a=words, text_b=None, label=0) for number in range(3000)]
encoded, teacher = Tokenizer(checkpoint, 32).encode_set(rows), load_classifier(checkpoint, 2, None)
filled = []

def fill_once(share):
    if not filled:
        filled.append(fill(disk))

folder = disk / "teachers" / "0123456789abcdef"
how = {"tick": fill_once} if when == "meanwhile" else {}
folder.mkdir(parents=True)
if when == "before":
    fill(disk)
    os.truncate(disk / "filler", os.path.getsize(disk / "filler") - (1 << 20))
kept = outputs(teacher, encoded, folder, memory=int(sys.argv[4]), **how)
batch = encoded.batch(np.arange(2900, 2910))
assert kept.gather(batch, NEEDS).logits.isfinite().all()
print(kept.reason)
"""
"""Keeps a teacher's outputs on a disk that has 1 MiB left `before`, or becomes full `meanwhile`."""


@pytest.mark.parametrize(
    ("when", "memory", "reason"),
    [
        ("before", 1 << 30, "in memory, not stored (No space left on device)"),
        ("before", 0, "could not be stored (No space left on device)"),
        ("meanwhile", 1 << 30, "in memory:"),
        ("meanwhile", 0, "mapped from disk"),
    ],
)
def test_a_disk_that_becomes_full_while_outputs_are_kept_kills_nothing(
    tiny_checkpoint, small_disk, when, memory, reason
):
    """They are written through a map of the file, and where the disk has no place for a page of it the system
    kills the process: no state, no reason. In a process of its own, because it would be pytest's.
    """
    told = subprocess.run(
        [sys.executable, "-c", KEEP_OUTPUTS, str(tiny_checkpoint), str(small_disk), when, str(memory)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, (told.returncode, told.stderr[-500:])
    assert reason in told.stdout


def test_a_file_takes_its_place_where_the_system_cannot_allocate(tmp_path, monkeypatch):
    """macOS has no posix_fallocate, and some file systems refuse it: holes would stay holes."""
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    path, size = tmp_path / "sparse", 3 * (1 << 20) + 5
    path.write_bytes(b"head")
    os.truncate(path, size)
    before = path.read_bytes()
    take_place(path)
    assert path.stat().st_blocks * 512 >= size and path.read_bytes() == before


def test_kept_outputs_leave_the_disk_what_the_checkpoints_take(tiny, tmp_path, monkeypatch):
    """Outputs only save time; a run whose first checkpoint has no room is lost."""
    request = resolve_request(tiny.config())
    needed = checkpoint_bytes(request.student_parameters, request.config)
    for name, free in (("little", needed), ("much", 10 * needed)):
        monkeypatch.setattr("kdviz.training.outputs_disk.free_bytes", lambda folder, free=free: free)
        folder = tiny.create(name, runs_dir=tmp_path / name)
        execute(folder, num_threads=1)
        assert ("not stored" in Run(folder).status["teacher_outputs"]) == (name == "little")
        assert bool(list((tmp_path / name).glob("teachers/*/outputs/*/*.npy"))) == (name == "much")
