"""Several students of one teacher in one pass: each is what it would be alone, whatever else happens."""

import json
import threading
from pathlib import Path

import pytest
from conftest import metrics_lines
from stopped import assert_same_run

from kdviz.cli import main
from kdviz.config import has_effect
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.jobs.execute import execute
from kdviz.jobs.together import create_together, execute_together
from kdviz.runs.reader import Run

EPOCHS = dict(epochs=4)
FIVE = ("hard", "soft", "all", "pid", "sid")


class StopAfter(threading.Event):
    """Set from the `nth` time on that it is looked at."""

    def __init__(self, nth: int):
        super().__init__()
        self.left = nth

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def create(tiny, runs_dir: Path, strategies=FIVE, run_id: str = "five", **settings) -> list[Path]:
    return create_together(tiny.config(**{**EPOCHS, **settings}), strategies, runs_dir, run_id)


@pytest.mark.parametrize(
    "settings", [dict(), dict(cache="off"), dict(cosine_threshold=1.9)], ids=["kept", "live", "threshold"]
)
@pytest.mark.parametrize("num_cores", [1, 2])
def test_trained_together_is_trained_alone_to_the_last_bit(tiny, straight, settings, num_cores):
    """A student that hears of another one's dropout, batches or moments is a student of neither strategy."""
    name = f"five-{num_cores}-{len(settings)}{''.join(settings)}".replace("_", "-")
    folders = create(tiny, tiny.runs_dir, run_id=name, **settings)
    ends = execute_together(folders, num_threads=1, num_cores=num_cores)
    assert ends == dict.fromkeys((f"{name}-{strategy}" for strategy in FIVE), None)
    for folder, strategy in zip(folders, FIVE, strict=True):
        assert Run(folder).state == "finished" and Run(folder).config["together"] == name
        of_effect = {name: value for name, value in settings.items() if has_effect(name, Run(folder).config)}
        assert_same_run(folder, straight(strategy=strategy, **EPOCHS, **of_effect).folder)


def test_what_they_are_before_training_is_measured_once(tiny, monkeypatch):
    """Five students that begin as one and the same would keep a room waiting five times for one number."""
    from kdviz.training import distill

    measured, evaluate = [], distill.evaluate
    monkeypatch.setattr(
        distill, "evaluate", lambda *given, **named: measured.append(given) or evaluate(*given, **named)
    )
    folders = create(tiny, tiny.runs_dir, ("soft", "all"), "measured-once", epochs=1)
    execute_together(folders, num_threads=1, num_cores=1)
    assert len(measured) == 3
    first, second = (Run(folder).evals[0] for folder in folders)
    for line in (first, second):
        line.pop("seconds")
    assert first == second


def test_one_is_stopped_and_resumed_and_the_others_go_on(tiny, straight):
    """Five runs that end because one was stopped would be one run with five names."""
    folders = create(tiny, tiny.runs_dir, ("all", "soft", "sid"), "one-stops")
    ends = execute_together(folders, stops={"one-stops-soft": StopAfter(12)}, num_threads=1, num_cores=2)
    assert isinstance(ends["one-stops-soft"], Stopped)
    states = [Run(folder).state for folder in folders]
    assert states == ["finished", "stopped", "finished"]
    execute(folders[1], num_threads=1)
    for folder, strategy in zip(folders, ("all", "soft", "sid"), strict=True):
        assert_same_run(folder, straight(strategy=strategy, **EPOCHS).folder)


def test_all_are_stopped_and_go_on_together(tiny, straight):
    """A student that goes on by itself after a stop would be another than one trained without it."""
    folders = create(tiny, tiny.runs_dir, ("all", "pid"), "both-stop")
    stops = {folder.name: StopAfter(14) for folder in folders}
    assert all(
        isinstance(end, Stopped)
        for end in execute_together(folders, stops=stops, num_threads=1, num_cores=1).values()
    )
    assert execute_together(folders, num_cores=2) == {"both-stop-all": None, "both-stop-pid": None}
    for folder, strategy in zip(folders, ("all", "pid"), strict=True):
        assert Run(folder).config["num_threads"] == 1, "it keeps the threads it began with"
        assert_same_run(folder, straight(strategy=strategy, **EPOCHS).folder)


def test_one_that_breaks_leaves_the_others_alone(tiny, monkeypatch):
    """A full disk under one folder, or a loss that is no number, is that run's own affair."""
    from kdviz.runs.writer import RunWriter

    folders, line = create(tiny, tiny.runs_dir, ("hard", "soft"), "one-breaks", epochs=1), RunWriter.line

    def break_in_hard(writer, record):
        if writer.folder.name.endswith("hard") and record["kind"] == "train":
            raise OSError(28, "No space left on device")
        line(writer, record)

    monkeypatch.setattr(RunWriter, "line", break_in_hard)
    ends = execute_together(folders, num_threads=1, num_cores=1)
    assert isinstance(ends["one-breaks-hard"], RunFailed) and ends["one-breaks-soft"] is None
    assert [Run(folder).state for folder in folders] == ["failed", "finished"]


def test_a_waiting_one_stops_while_the_first_makes_the_teacher(tiny, tmp_path, monkeypatch):
    """Fine-tuning a teacher takes minutes; who presses Stop meanwhile must not wait for it."""
    monkeypatch.setattr("kdviz.runs.writer.STATUS_INTERVAL_SECONDS", 0.0)
    folders = create(tiny, tmp_path, ("all", "soft"), "waits", epochs=1)
    seen = []
    stops = {"waits-soft": threading.Event()}

    def watch(run_id: str, status: dict) -> None:
        if run_id == "waits-all" and status.get("phase") == "teacher":
            stops["waits-soft"].set()
        seen.append((run_id, status["state"], status.get("phase")))

    ends = execute_together(folders, stops=stops, progress=watch, num_threads=1, num_cores=1)
    assert isinstance(ends["waits-soft"], Stopped) and ends["waits-all"] is None
    stopped = seen.index(("waits-soft", "stopped", "done"))
    assert ("waits-all", "running", "distilling") not in seen[:stopped]
    first = metrics_lines(folders[0])
    assert first[0]["kind"] == "teacher" and not (folders[1] / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("strategies", "settings", "message"),
    [
        (("all", "all"), dict(), "expected different strategies"),
        (("all", "best"), dict(), "expected one of hard"),
        (("all", "sid"), dict(epochs=2), "needs at least 3"),
        (("all", "soft"), dict(soft_weight=0.0), "soft_weight: expected more than 0"),
        (("soft", "all"), dict(kl_weight=0.0, cos_weight=0.0, soft_weight=0.0), "soft_weight: expected"),
    ],
)
def test_a_request_that_cannot_be_done_leaves_no_folder(tiny, tmp_path, strategies, settings, message):
    """Half of the folders would stand in the list for ever, and take their names."""
    with pytest.raises(RequestError, match=message):
        create(tiny, tmp_path, strategies, **settings)
    assert not tmp_path.exists() or not [path for path in tmp_path.iterdir() if path.name != "teachers"]


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        ("run", ["--strategy=soft,hard", "--run-id="], "got ''"),
        ("run", ["--strategy=soft,soft"], "expected different strategies"),
        ("plan", ["--strategy=soft,soft"], "expected different strategies"),
    ],
)
def test_several_strategies_are_judged_as_one_is(tiny, tmp_path, capsys, command, flags, message):
    """What `plan` promises, `run` has to do; an empty name (a variable that is not set) hid the run under
    another.
    """
    where = [f"--data-dir={tiny.glue}", f"--teacher={tiny.checkpoint}", f"--runs-dir={tmp_path / 'runs'}"]
    settings = ["--task=cola", "--source=folder", "--student-layers=2", "--train-size=24", "--epochs=1"]
    assert main([command, *where, *settings, "--teacher-epochs=1", "--max-length=32", *flags]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_name_that_is_taken_leaves_no_folder_beside_it(tiny, tmp_path):
    """The other strategies would be made, and wait for one that never comes."""
    tiny.create("five-pid", runs_dir=tmp_path)
    with pytest.raises(RequestError, match="exists already"):
        create(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "teachers"] == [
        "five-pid"
    ]


def test_the_command_line_trains_a_list_of_strategies(tiny, tmp_path, capsys):
    """What the button of the page does would not be had without it."""
    settings = tiny.config(epochs=1)
    flags = [
        f"--runs-dir={tmp_path}",
        "--run-id=cli",
        "--strategy=all,soft",
        "--threads=1",
        "--eval-size=none",
    ]
    for name in (
        "task",
        "source",
        "data_dir",
        "teacher",
        "student_layers",
        "batch_size",
        "train_size",
        "epochs",
    ):
        flags.append(f"--{name.replace('_', '-')}={getattr(settings, name)}")
    assert main(["run", *flags, "--teacher-epochs=1"]) == 0
    said = capsys.readouterr()
    assert "run cli-all: layers 1 + 2 and soft labels" in said.out and "cli-soft: epoch 1, n = 14" in said.out
    assert {
        json.loads((tmp_path / f"cli-{name}" / "status.json").read_text())["state"]
        for name in ("all", "soft")
    } == {"finished"}
