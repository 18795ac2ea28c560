"""Several students in the queue: they start together, and are stopped one by one."""

import time
from pathlib import Path

import pytest

from kdviz.jobs.queue import Queue
from kdviz.runs.reader import Run
from kdviz.runs.store import Store
from kdviz.share.live import board_of


def until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


@pytest.fixture
def queue(tiny_runs_dir: Path):
    queue = Queue(tiny_runs_dir)
    yield queue
    queue.close()


def test_a_group_trains_in_one_pass_and_its_runs_stop_one_by_one(queue, tiny):
    """Five runs in five turns would show the fifth's first number when the fourth has ended. One that was
    stopped stood as "stopping" until the last of the others had ended, and could not be taken up or removed.
    """
    first = queue.submit(tiny.config(strategy="soft", epochs=4))
    names = queue.submit_together(tiny.config(epochs=60), ("soft", "all", "sid"))
    assert [name.rsplit("-", 1)[1] for name in names] == ["soft", "all", "sid"]
    until(lambda: queue.training == names)
    assert Run(queue.runs_dir / first).state == "finished" and queue.current == names[0]
    until(lambda: all(Run(queue.runs_dir / name).probe_lines for name in names))
    queue.stop(names[1])
    assert queue.is_stopping(names[1]) and not queue.is_stopping(names[0])
    until(lambda: not queue.holds(names[1]))
    row = board_of(Store(queue.runs_dir), queue).row(names[1])
    assert (row.state, row.is_active) == ("stopped", False)
    queue.take_up(names[1])
    assert queue.place(names[1]) == 1, "its turn comes when the others have ended"
    queue.stop(names[1])
    assert queue.training == (names[0], names[2]) and Run(queue.runs_dir / names[0]).state == "running"
    for name in (names[0], names[2]):
        queue.stop(name)
    until(lambda: queue.current is None)
    assert {Run(queue.runs_dir / name).state for name in names} == {"stopped"}
    assert Run(queue.runs_dir / names[0]).evals, "the epochs so far stay usable"
    queue.take_up(names[1])
    until(lambda: queue.training == (names[1],))
    queue.stop(names[1])
    until(lambda: queue.current is None)
