"""The queue: order, stopping, taking up again, and what must never be removed."""

import importlib
import os
import threading
import time
from pathlib import Path

import pytest

import kdviz.jobs.queue
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.files import read_json, write_json
from kdviz.jobs.delete import delete_run
from kdviz.jobs.process_wide import process_wide
from kdviz.jobs.queue import Queue, shared
from kdviz.locks import exclusive
from kdviz.runs.reader import Run


def make_run(runs_dir: Path, run_id: str, state: str = "queued") -> Path:
    folder = runs_dir / run_id
    write_json(
        folder / "config.json",
        {
            "format_version": 1,
            "task": "cola",
            "strategy": "sid",
            "seed": 0,
            "pairs": [[0, 1]],
            "student_layers": 1,
            "teacher_num_layers": 2,
            "num_heads": 2,
        },
    )
    write_json(folder / "status.json", {"state": state})
    return folder


def create(config, runs_dir, run_id, *, extra=None):
    return make_run(Path(runs_dir), run_id)


class Trainer:
    """Stands in for `kdviz.jobs.execute.execute` and trains nothing: it holds the lock until told to end."""

    def __init__(self):
        self.started: list[str] = []
        self.num_threads: int | None = None
        self.go_on = threading.Event()
        self.ending: Exception | None = None

    def __call__(self, folder, *, stop, num_threads):
        self.num_threads = num_threads
        with exclusive(folder / "lock") as held:
            assert held
            write_json(folder / "status.json", {"state": "running"})
            self.started.append(folder.name)
            while not self.go_on.is_set():
                if stop.wait(0.01):
                    write_json(folder / "status.json", {"state": "stopped"})
                    raise Stopped()
            if self.ending:
                raise self.ending
            write_json(folder / "status.json", {"state": "finished"})


def until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def trainer():
    return Trainer()


@pytest.fixture
def queue(tmp_path, trainer):
    queue = Queue(tmp_path, execute=trainer, create=create)
    yield queue
    trainer.go_on.set()
    queue.close()


def test_runs_start_in_order_one_at_a_time(queue, trainer):
    """Two trainings at once would halve the speed of both and freeze the page; nobody would see why."""
    for run_id in ("a", "b", "c"):
        queue.submit(None, run_id=run_id)
    until(lambda: trainer.started == ["a"])
    assert queue.current == "a" and queue.waiting == ("b", "c")
    assert [queue.place(run_id) for run_id in "abc"] == [None, 1, 2]
    trainer.go_on.set()
    until(lambda: trainer.started == ["a", "b", "c"] and queue.current is None)
    assert all(Run(queue.runs_dir / run_id).state == "finished" for run_id in "abc")


def test_a_training_has_the_cores_that_pages_leave(queue, trainer, monkeypatch):
    """One thread of sixteen cores takes minutes for what a seminar waits for; all of them leave the page
    none.
    """
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("kdviz.machine.cores_allowed", lambda environment: 16)
    queue.submit(None, run_id="a")
    until(lambda: trainer.num_threads == 8)


def test_a_run_is_held_without_a_gap_from_its_submission_to_its_end(queue, trainer):
    """Asked for its place and then for what is trained, a run that began in between was in neither: a study
    took it for ended, and went on to the next while it ran.
    """
    trainer.go_on.set()
    for number in range(40):
        run_id = f"run-{number}"
        queue.submit(None, run_id=run_id)
        while queue.holds(run_id):
            pass
        assert Run(queue.runs_dir / run_id).state == "finished"


def test_no_thread_before_the_first_run(tmp_path):
    """A page that only looks must not cost a thread, and importing the queue must not import torch."""
    queue = Queue(tmp_path)
    assert queue.current is None and queue.waiting == () and queue._worker is None


def test_stopping_the_current_run_starts_the_next(queue, trainer):
    """A stop that ends the worker would leave the waiting runs waiting for ever."""
    queue.submit(None, run_id="a")
    queue.submit(None, run_id="b")
    until(lambda: trainer.started == ["a"])
    queue.stop("a")
    until(lambda: trainer.started == ["a", "b"])
    assert Run(queue.runs_dir / "a").state == "stopped" and not queue.is_stopping("a")


def test_stopping_a_waiting_run_takes_it_out(queue, trainer):
    """Left in the list it would start later, although its owner saw it stopped."""
    for run_id in ("a", "b", "c"):
        queue.submit(None, run_id=run_id)
    until(lambda: trainer.started == ["a"])
    queue.stop("b")
    assert queue.waiting == ("c",) and Run(queue.runs_dir / "b").state == "stopped"
    with exclusive(queue.runs_dir / "b" / "waiting.lock"):
        with pytest.raises(RequestError, match="waits in the queue of another process"):
            queue.stop("b")
    with pytest.raises(RequestError, match="nothing to stop"):
        queue.stop("b")


def test_stopping_a_run_of_another_process(queue):
    """The presenter's Stop must reach a run started on the command line; the loop there looks for this
    file.
    """
    folder = make_run(queue.runs_dir, "a", "running")
    with exclusive(folder / "lock"):
        queue.stop("a")
    assert (folder / "stop").exists()


@pytest.mark.parametrize("state", ["queued", "stopped", "running", "failed"])
def test_a_left_over_run_can_be_taken_up(queue, trainer, state):
    """After a restart the queue in memory is empty; without this, waiting and interrupted runs would be
    lost.
    """
    make_run(queue.runs_dir, "a", state)
    trainer.go_on.set()
    queue.take_up("a")
    until(lambda: Run(queue.runs_dir / "a").state == "finished")


def test_a_run_that_is_taken_up_does_not_say_what_it_did_before(queue, trainer):
    """It waits behind another one: "Distilling" beside it would be what it did when its server ended."""
    queue.submit(None, run_id="first")
    until(lambda: trainer.started == ["first"])
    left = make_run(queue.runs_dir, "left", "running")
    write_json(left / "status.json", read_json(left / "status.json") | {"phase": "distilling", "step": 7})
    queue.take_up("left")
    assert {key: Run(left).status[key] for key in ("state", "phase", "step")} == {
        "state": "queued",
        "phase": "waiting",
        "step": 7,
    }
    trainer.go_on.set()


def test_what_cannot_be_taken_up(queue, trainer):
    """A finished run trained again, or one run trained by two processes, would spoil its files."""
    make_run(queue.runs_dir, "done", "finished")
    with pytest.raises(RequestError, match="finished"):
        queue.take_up("done")
    make_run(queue.runs_dir, "busy", "running")
    with exclusive(queue.runs_dir / "busy" / "lock"), pytest.raises(RequestError, match="running"):
        queue.take_up("busy")
    make_run(queue.runs_dir, "waits", "queued")
    with exclusive(queue.runs_dir / "waits" / "waiting.lock"):
        assert queue.waits_elsewhere("waits")
        with pytest.raises(RequestError, match="already waits"):
            queue.take_up("waits")
    with pytest.raises(RequestError, match="none"):
        queue.take_up("unknown")
    queue.submit(None, run_id="a")
    queue.submit(None, run_id="b")
    until(lambda: trainer.started == ["a"])
    with pytest.raises(RequestError, match="already waits"):
        queue.take_up("b")


@pytest.mark.parametrize(
    "ending",
    [RunFailed("the loss became NaN"), OSError(28, "No space left on device"), MemoryError(), KeyError("x")],
)
def test_a_run_that_breaks_is_one_line_and_the_next_starts(queue, trainer, ending):
    """An exception that ends the worker thread would freeze the queue of the whole room without a word."""
    trainer.ending = ending
    queue.submit(None, run_id="a")
    until(lambda: trainer.started == ["a"])
    trainer.go_on.set()
    until(lambda: queue.current is None)
    assert queue.note("a") and "\n" not in queue.note("a")
    if not isinstance(ending, RunFailed):
        assert (
            Run(queue.runs_dir / "a").state == "failed"
            and read_json(queue.runs_dir / "a" / "status.json")["error"]
        )
    trainer.ending = None
    queue.submit(None, run_id="b")
    until(lambda: Run(queue.runs_dir / "b").state == "finished")


def test_a_vanished_folder_is_not_made_again(queue, trainer):
    """A folder made anew by taking a lock would show as a foreign, unreadable entry."""
    import shutil

    queue.submit(None, run_id="a")
    queue.submit(None, run_id="b")
    queue.submit(None, run_id="c")
    until(lambda: trainer.started == ["a"])
    shutil.rmtree(queue.runs_dir / "b")
    shutil.rmtree(queue.runs_dir / "c")
    queue.stop("c")
    trainer.go_on.set()
    until(lambda: queue.current is None and not queue.waiting)
    assert queue.note("b") and not (queue.runs_dir / "b").exists() and not (queue.runs_dir / "c").exists()


def test_delete_removes_only_runs_inside_the_runs_folder(tmp_path):
    """One wrong path here deletes somebody's files."""
    runs, outside = tmp_path / "runs", make_run(tmp_path / "elsewhere", "kept", "finished")
    make_run(runs, "mine", "finished")
    (runs / "mine" / "link").symlink_to(outside)
    (runs / "linked").symlink_to(outside)
    (runs / "foreign").mkdir()
    (runs / "foreign" / "thesis.txt").write_text("years of work")
    for run_id in (
        "linked",
        "foreign",
        "..",
        ".",
        "",
        "../elsewhere/kept",
        "mine/../../elsewhere/kept",
        "/etc",
        "teachers",
        "a\0b",
        "unknown",
    ):
        with pytest.raises(RequestError):
            delete_run(runs, run_id)
    with exclusive(runs / "mine" / "lock"), pytest.raises(RequestError, match="stop it first"):
        delete_run(runs, "mine")
    with exclusive(runs / "mine" / "waiting.lock"), pytest.raises(RequestError, match="waits in the queue"):
        delete_run(runs, "mine")
    delete_run(runs, "mine")
    assert sorted(os.listdir(runs)) == ["foreign", "linked"]
    assert (outside / "config.json").exists() and (runs / "foreign" / "thesis.txt").exists()


def test_a_run_that_runs_or_waits_is_not_deleted(queue, trainer):
    """Removing the folder under a training would turn a click into a failed run."""
    queue.submit(None, run_id="a")
    queue.submit(None, run_id="b")
    until(lambda: trainer.started == ["a"])
    for run_id in ("a", "b"):
        with pytest.raises(RequestError, match="stop it first"):
            queue.delete(run_id)
    queue.stop("b")
    queue.delete("b")
    assert not (queue.runs_dir / "b").exists()


def test_the_shared_queue_survives_a_reload_of_its_module(tmp_path):
    """Streamlit's watcher drops changed modules: a queue in a module global would lose its running
    training.
    """
    before = shared(tmp_path)
    reloaded = importlib.reload(kdviz.jobs.queue)
    try:
        assert reloaded.shared(tmp_path) is before
        assert reloaded.shared(tmp_path / ".." / tmp_path.name) is before
        assert reloaded.shared(tmp_path / "other") is not before
    finally:
        process_wide("queues", dict).clear()
