"""Studies whose runs are trained at once in processes of their own."""

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from studies import write_study

from kdviz.cli import main
from kdviz.jobs.create import create_run
from kdviz.jobs.execute import execute
from kdviz.runs.layout import teachers_of
from kdviz.runs.reader import Run
from kdviz.studies.check import check_study
from kdviz.studies.folder import open_study
from kdviz.studies.spec import read_study
from kdviz.studies.table import make_table
from kdviz.studies.workers import Job, workers
from kdviz.training.shared import Shared

ROOT = Path(__file__).parents[1]


def numbers(file: Path, runs_dir: Path) -> dict:
    """The study's table without what no two machines share."""
    table = make_table(open_study(file, None, runs_dir), runs_dir).to_dict()
    for row in table["rows"]:
        row["more"].pop("seconds", None)
    return table


def until(holds, seconds: float = 120) -> None:
    """Wait until `holds()`."""
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "it did not come to that"
        time.sleep(0.02)


def workers_of(process: subprocess.Popen) -> list[int]:
    """The processes that `process` began, those that only look after others apart."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_lost_worker_costs_its_run_and_the_numbers_are_those_of_one_at_a_time(
    finished_study, tmp_path, capsys
):
    """Two processes that train at once must neither share a random number nor take each other down; what the
    memory's guard ends is told, and done by the next command.
    """
    file, whole = finished_study
    copy, runs_dir = Path(shutil.copy(file, tmp_path / "small.toml")), tmp_path / "runs"
    lost = []

    def end_one() -> None:
        until(lambda: list(runs_dir.glob("small-*-s0/metrics.jsonl")))
        lost.append(multiprocessing.active_children()[0].pid)
        os.kill(lost[0], signal.SIGKILL)

    guard = threading.Thread(target=end_one)
    guard.start()
    status = main(["study", str(copy), "--runs-dir", str(runs_dir), "--at-once", "2"])
    guard.join()
    said = capsys.readouterr()
    assert status == 1 and lost and "no memory left" in said.err and "5 of 6 runs" in said.out
    assert len(json.loads((runs_dir / "studies" / "small" / "state.json").read_text())["failed"]) == 1
    assert not multiprocessing.active_children()
    assert main(["study", str(copy), "--runs-dir", str(runs_dir), "--at-once", "2"]) == 0
    assert numbers(copy, runs_dir) == numbers(file, whole)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="who began a process is read from /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_command_and_the_study_goes_on(finished_study, tmp_path, how):
    """A worker that outlives its command would train on unseen, and hold its run's lock against the next."""
    file, whole = finished_study
    copy, runs_dir = Path(shutil.copy(file, tmp_path / "small.toml")), tmp_path / "runs"
    command = [sys.executable, "-m", "kdviz", "study", str(copy), "--runs-dir", str(runs_dir)]
    process = subprocess.Popen(
        [*command, "--at-once", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: list(runs_dir.glob("small-*-s0/metrics.jsonl")) or process.poll() is not None)
    workers = workers_of(process)
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    said = process.communicate(timeout=300)[1]
    assert len(workers) == 2
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 20)
    if how == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in said
        states = {Run(folder).state for folder in runs_dir.glob("small-*")}
        assert "stopped" in states and not states & {"running", "interrupted"}
    assert not (runs_dir / "small-all-s2" / "student").exists()
    assert main(["study", str(copy), "--runs-dir", str(runs_dir)]) == 0
    assert numbers(copy, runs_dir) == numbers(file, whole)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_runs_at_once_show_how_far_they_are(finished_study, tmp_path, monkeypatch):
    """A worker takes a while to make its run's folder; a look before that ended the study."""
    file, whole = finished_study
    runs_dir, terminal = Path(shutil.copytree(whole, tmp_path / "runs")), Terminal()
    for run_id in ("small-soft-s0", "small-soft-s1"):
        shutil.rmtree(runs_dir / run_id)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        patch.setattr("kdviz.studies.workers.LOOK_SECONDS", 0.02)
        assert main(["study", str(file), "--runs-dir", str(runs_dir), "--at-once", "2"]) == 0
    assert numbers(file, runs_dir) == numbers(file, whole)
    assert "\r" in terminal.getvalue() and "Traceback" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("cores", "memory", "fits"),
    [(1, 1 << 40, 1), (2, 1 << 40, 2), (64, 1 << 40, 4), (64, None, 4), (64, 1, 1)],
)
def test_as_many_runs_at_once_as_there_is_room_for(tiny, tmp_path, monkeypatch, cores, memory, fits):
    """Too many at once end in the guard of the memory, too few leave cores idle."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    monkeypatch.setattr("kdviz.studies.check.memory_allowed", lambda: memory)
    study = read_study(write_study(tmp_path / "s.toml", tiny))
    forecast = check_study(study, tmp_path / "runs", num_threads=1, at_once=None)
    assert forecast.at_once == fits
    alone = check_study(study, tmp_path / "runs", num_threads=1)
    assert alone.at_once == 1 and alone.seconds / fits <= forecast.seconds <= alone.seconds


def test_without_a_word_on_cores_one_run_takes_them_all(tiny, tmp_path, monkeypatch):
    """Eight runs at once on eight cores would take the memory of eight without being asked."""
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    file = write_study(tmp_path / "s.toml", tiny)
    file.write_text(file.read_text().replace("cpus = 1", ""))
    assert check_study(read_study(file), tmp_path / "runs", at_once=None).at_once == 1


@pytest.mark.parametrize(
    ("flags", "match"), [(["--at-once", "0"], "got 0"), (["--at-once", "2", "--on", "ray"], "cluster")]
)
def test_a_number_of_runs_that_cannot_be_is_refused(tiny, tmp_path, capsys, flags, match):
    """A pool of no or of a thousand workers hangs, or takes the machine."""
    file = write_study(tmp_path / "s.toml", tiny)
    assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs"), *flags]) == 2
    assert match in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_worker_that_was_ended_while_it_waited_is_replaced(tiny, tmp_path):
    """Between two jobs the memory's guard costs no run: it ended the study with a traceback."""
    study = read_study(write_study(tmp_path / "s.toml", tiny))
    job = Job(
        study_id="s", config=study.cells[0].config, run_id=None, runs_dir=tmp_path / "runs", num_threads=1
    )
    with workers(2, threading.Event()) as hands:
        ends = []
        for _ in range(2):
            hands.begin(job)
            while not (ended := hands.ended()):
                pass
            ends += ended
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
            until(lambda: any(other._pool._broken for other in hands._free), 20)
    assert ends == [(job, None), (job, None)]


def test_a_run_of_a_study_is_the_run_alone(finished_study, tmp_path):
    """What a run takes over from the run before it, the teacher and its outputs, must not change a digit."""
    file, whole = finished_study
    cell = read_study(file).cells[-1]
    shutil.copytree(teachers_of(whole), teachers_of(tmp_path))
    execute(create_run(cell.config, tmp_path, "alone"), num_threads=1)
    for lines in ("train", "eval", "probe"):
        ours, alone = (Run(folder).lines(lines) for folder in (whole / cell.run_id, tmp_path / "alone"))
        assert len(ours) == len(alone) > 0
        for one, other in zip(ours, alone, strict=True):
            assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_what_runs_share_is_bounded(tiny):
    """Teachers and outputs of a study of days would fill the memory; what is on disk others may delete."""

    class Outputs:
        def __init__(self, memory_bytes: int):
            self.memory_bytes = memory_bytes

    shared = Shared(kept_bytes=100)
    for name, num_bytes in (("a", 60), ("b", 30), ("a", 60), ("c", 50), ("disk", 0), ("large", 101)):
        assert shared.once(name, lambda num_bytes=num_bytes: Outputs(num_bytes)).memory_bytes == num_bytes
    made_again = []
    for name in ("c", "a", "b", "disk", "large", "text"):
        shared.once(name, lambda name=name: made_again.append(name) or Outputs(0))
    assert made_again == ["a", "b", "disk", "large", "text"]
    layer = torch.nn.Linear(10, 10)
    assert Shared(kept_bytes=439).once("m", lambda: layer) is layer
    kept = Shared(kept_bytes=440)
    assert kept.once("m", lambda: layer) is kept.once("m", lambda: None) is layer
