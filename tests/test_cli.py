"""The command line: exit statuses, one-line errors, studies, reports. Real processes where the status is what
matters.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from folders import make_run

from kdviz.__main__ import main as main_of_the_program
from kdviz.cli import main
from kdviz.progress import duration_words
from kdviz.runs.reader import Run
from kdviz.terminal import ProgressLine

ROOT = Path(__file__).parents[1]


def settings_of(tiny, **changes: object) -> list[str]:
    """Flags for a run of a second."""
    wanted = dict(
        task="cola",
        source="folder",
        data_dir=tiny.glue,
        teacher=tiny.checkpoint,
        student_layers=2,
        strategy="all",
        epochs=2,
        batch_size=8,
        train_size=36,
        eval_size="none",
        max_length=32,
        teacher_epochs=1,
        snapshots=4,
        device="cpu",
        dtype="float32",
    )
    return [
        part
        for name, value in {**wanted, **changes}.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]


def kdviz(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "kdviz", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        **options,
    )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"task": "colla"}, r"task: expected one of cola, .*, got 'colla'"),
        ({"data_dir": "/nowhere"}, r"/nowhere: expected a folder, got nothing"),
        ({"data_dir": ""}, r"--data-dir: expected a text, got '' \(a variable that is not set\?\)"),
        ({"student_checkpoint": " "}, r"--student-checkpoint: expected a text, got ' ' \(a variable"),
        ({"student_layers": 0}, r"student_layers: expected a number from 1 to 48, got 0"),
        ({"student_layers": 9}, r"student_layers: expected at most 4, the teacher's layers, got 9"),
        ({"epochs": "many"}, r"--epochs: expected a whole number, got 'many'"),
        ({"strategy": "pid", "epochs": 2}, r"epochs: pid has 3 stages here .* needs at least 3, got 2"),
        ({"runs_dir": "/proc/kdviz"}, r"runs_dir: expected a folder that can be written, got /proc/kdviz"),
        ({"run_id": "../evil"}, r"run id: expected 1 to 64 of a-z"),
        ({"matching": "custom:3,1"}, r"matching: expected custom: and 2 rising teacher layers"),
        ({"teacher": "/nowhere"}, r"teacher: expected one of minilm-l6"),
        ({"max_length": 128}, r"max_length: expected at most 64 \(positions"),
        ({"seed": "9" * 20}, r"seed: expected a number from 0 to 2147483647, got 9999"),
        (
            {"active_pairs": "0,7"},
            r"active_pairs: expected different student layers from 0 to 1 \(the lowest is 0\), got \[0, 7\]",
        ),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(tiny, tmp_path, capsys, changes, match):
    """A traceback, or a run that trains for an hour and then finds the mistake, would drive people away."""
    runs_dir = changes.pop("runs_dir", tmp_path / "runs")
    assert main(["run", *settings_of(tiny, **changes), "--runs-dir", str(runs_dir)]) == 2
    said = capsys.readouterr().err
    assert re.search(match, said) and said.count("\n") == 1
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_a_malformed_row_is_named_by_file_and_line(tiny, tmp_path, capsys):
    """A row that is silently dropped shifts every index after it."""
    folder = tmp_path / "CoLA"
    folder.mkdir()
    (folder / "train.tsv").write_text("own\t1\t\tA fine row.\nown\t1\tshort\n")
    (folder / "dev.tsv").write_text("own\t1\t\tA fine row.\n")
    assert main(["run", *settings_of(tiny, data_dir=tmp_path), "--runs-dir", str(tmp_path / "runs")]) == 2
    assert re.search(r"train\.tsv.*2.*expected 4", capsys.readouterr().err)


def test_a_run_from_start_to_report(tiny, tmp_path):
    """The whole job through real processes: what a script, or a lecturer's notes, relies on."""
    runs_dir = tmp_path / "runs"
    done = kdviz(
        "run", *settings_of(tiny, strategy="sid", epochs=3), "--runs-dir", runs_dir, "--run-id", "first"
    )
    assert done.returncode == 0, done.stderr
    assert "Matthews correlation" in done.stdout and "attention KL" in done.stdout
    assert "brackets: 95 % interval over the examples" in done.stdout
    run = Run(runs_dir / "first")
    assert run.state == "finished" and [line["epoch"] for line in run.evals] == [0, 1, 2, 3]
    rows = json.loads(kdviz("list", "--runs-dir", runs_dir, "--json").stdout)
    assert [row["state"] for row in rows if row["id"] == "first"] == ["finished"]
    shown = json.loads(kdviz("show", "first", "--runs-dir", runs_dir, "--json").stdout)
    assert shown["summary"]["metrics"] == run.evals[-1]["metrics"]
    assert (
        kdviz("resume", "first", "--runs-dir", runs_dir).returncode == 2
    )  # finished: there is nothing to resume
    assert (
        kdviz("run", *settings_of(tiny), "--runs-dir", runs_dir, "--run-id", "first").returncode == 2
    )  # never overwritten
    written = kdviz("report", "first", "--runs-dir", runs_dir, "--out", tmp_path / "first.html")
    assert written.returncode == 0, written.stderr
    assert (
        kdviz("delete", "first", "--runs-dir", runs_dir).returncode == 0 and not (runs_dir / "first").exists()
    )


def test_an_interrupt_is_orderly_and_resumable(tiny, tmp_path):
    """Ctrl-C, and `stop` from another terminal, must leave a stopped run that goes on, not a broken one."""
    runs_dir = tmp_path / "runs"
    for stop in ("signal", "command"):
        command = [
            sys.executable,
            "-m",
            "kdviz",
            "run",
            *settings_of(tiny, epochs=60),
            "--runs-dir",
            str(runs_dir),
            "--run-id",
            stop,
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 120
        while not (runs_dir / stop / "predictions.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if stop == "signal":
            process.send_signal(signal.SIGINT)
        else:
            assert kdviz("stop", stop, "--runs-dir", runs_dir).returncode == 0
        _, said = process.communicate(timeout=120)
        assert process.returncode == 130 and "Traceback" not in said
        run = Run(runs_dir / stop)
        assert run.state == "stopped" and run.evals and run.evals[-1]["epoch"] < 60
    assert kdviz("stop", "signal", "--runs-dir", runs_dir).returncode == 2  # nobody trains it


def test_plan_prints_stages_time_and_warning(tiny, capsys):
    """A last stage of one epoch in twelve gives a student that never learnt the task: better told before."""
    assert main(["plan", *settings_of(tiny, strategy="pid", epochs=12, epochs_per_layer=5), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(stage["layers"], stage["classification"], stage["epochs"]) for stage in plan["stages"]] == [
        ([0], "none", 5),
        ([1], "none", 5),
        ([], "soft", 2),
    ]
    assert plan["seconds"] > 0 and plan["teacher_seconds"] > 0 and "less than a fifth" in plan["warnings"][0]
    assert plan["pairs"] == [[0, 1], [1, 3]] and plan["total_steps"] == 12 * 5
    several = settings_of(tiny, strategy="pid,soft", epochs=12, epochs_per_layer=5)
    assert main(["plan", *several, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["strategy"] == "pid" and first["stages"] == plan["stages"]
    assert second["strategy"] == "soft" and len(second["stages"]) == 1
    assert main(["plan", *several]) == 0
    assert re.search(r"\n\npid\n.*stage 3.*\n\nsoft\n", capsys.readouterr().out, re.DOTALL)
    assert main(["plan", *settings_of(tiny, strategy="pid", epochs=12)]) == 0
    said = capsys.readouterr().out
    assert "student layer 2 - teacher layer 4" in said and "warning" not in said


def test_tasks_and_teachers(capsys):
    """What a newcomer types first."""
    assert main(["tasks", "--json"]) == 0
    tasks = {row["task"]: row["sources"] for row in json.loads(capsys.readouterr().out)}
    assert "sample data, not GLUE" in tasks["cola"]["sample"] and set(tasks) >= {
        "cola",
        "qqp",
        "mrpc",
        "rte",
        "sst2",
        "mnli",
        "qnli",
        "wnli",
    }
    assert main(["teachers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["teacher"] == "minilm-l6"


@pytest.mark.parametrize("name", ["\0", "\ud800", "", "x" * 5000])
def test_a_study_file_of_an_impossible_name_is_one_line(capsys, name):
    """A shell script that built the name wrongly has to read what is wrong, not a traceback."""
    assert main(["study", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1


class _Terminal:
    def __init__(self, moving: bool):
        self.moving, self.text = moving, ""

    def isatty(self) -> bool:
        return self.moving

    def fileno(self) -> int:
        raise OSError("it has no descriptor")

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_moves_on_a_terminal_and_is_plain_elsewhere():
    """Carriage returns in a log file make one unreadable line of a whole night."""
    statuses = [
        {"phase": "distilling", "step": step, "total_steps": 100, "epoch": step // 50, "seconds_left": 61.0}
        for step in (10, 20, 60)
    ]
    terminal, file = _Terminal(True), _Terminal(False)
    for stream in (terminal, file):
        line = ProgressLine(stream)
        for status in statuses:
            line.show(status)
        line.end()
    assert "\r" in terminal.text and "60%" in terminal.text and "61 s left" in terminal.text
    assert "\r" not in file.text and file.text.count("\n") == 2
    words = ["8 s", "120 s", "3 min", "63 min", "2 h 3 min", "unknown", "unknown"]
    assert [duration_words(each) for each in (8, 123, 180, 3780, 7380, None, float("inf"))] == words


def test_progress_fits_a_narrow_terminal():
    """A line that the terminal breaks is not written over but pushed up, once for every step."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, (10).to_bytes(2, "little") + (20).to_bytes(2, "little") + bytes(4))
    with open(slave, "w", encoding="utf-8") as terminal:
        ProgressLine(terminal).show(
            {"phase": "distilling", "step": 20, "total_steps": 100, "seconds_left": 61}
        )
        shown = os.read(master, 1000).decode()
    os.close(master)
    assert shown.startswith("\r\x1b[2KDistilling") and len(shown.removeprefix("\r\x1b[2K")) == 19


def test_a_run_goes_on_when_its_reader_has_gone(tiny, tmp_path):
    """`kdviz run … 2>&1 | head -1` made the run fail, and blamed the disk; with `| head -1` and unbuffered
    output nothing was trained, and the status said done.
    """
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-u", "-m", "kdviz", "run", *settings_of(tiny, epochs=1)]
    command += ["--runs-dir", str(tmp_path), "--run-id", "alone"]
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=write, timeout=300)
    os.close(write)
    assert done.returncode == 0 and Run(tmp_path / "alone").state == "finished"


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_place_for_files(tmp_path, closed):
    """The next file that is opened gets the number of a closed stream, and whatever a library says lands in
    it.
    """
    make_run(tmp_path / "runs", "one")
    for command in ("report one --out r.html", "show nothing"):
        line = f"exec {sys.executable} -m kdviz {command} --runs-dir {tmp_path}/runs {closed}"
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == (2 if "nothing" in command else 0), done.stderr
        assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    assert (tmp_path / "r.html").read_bytes().startswith(b"<!doctype html>")


def test_output_that_cannot_be_written_is_one_line(tmp_path):
    """A list on a full disk was cut off in silence, and ended with a status of Python's own."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kdviz", "list", "--runs-dir", str(tmp_path)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_a_run_goes_on_when_its_progress_has_no_place(tiny, tmp_path):
    """`2> log` on a disk that became full ended the training, and blamed the disk of the runs."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = [sys.executable, "-m", "kdviz", "run", *settings_of(tiny, epochs=1)]
    command += ["--runs-dir", str(tmp_path), "--run-id", "alone"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=full, timeout=300)
    assert done.returncode == 0 and Run(tmp_path / "alone").state == "finished"


def test_ctrl_c_during_the_imports_is_a_stop(monkeypatch, capsys):
    """They take a second: who has mistyped presses it then, and read a traceback of numpy's."""

    class Interrupted:
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "kdviz.cli", Interrupted())
    assert main_of_the_program() == 130 and capsys.readouterr().err == "kdviz: stopped\n"


def test_a_report_takes_nothing_away(tmp_path, capsys):
    """`--out` of a run's own file, or of a thesis, replaced it; a link became a file, and so did /dev/stdout
    for who may write there.
    """
    make_run(tmp_path, "one")

    def report(out: Path) -> int:
        return main(["report", "one", "--runs-dir", str(tmp_path), "--out", str(out)])

    for kept in (tmp_path / "one" / "config.json", tmp_path / "thesis.txt"):
        kept.exists() or kept.write_text("years of work")
        before = kept.read_bytes()
        assert report(kept) == 2 and kept.read_bytes() == before
        assert "would be lost; choose another --out" in capsys.readouterr().err
    assert report(tmp_path) == 2 and "Is a directory; choose" in capsys.readouterr().err
    (tmp_path / "link.html").symlink_to("real.html")
    for _ in range(2):  # a report may be made again
        assert report(tmp_path / "link.html") == 0
    assert (tmp_path / "link.html").is_symlink() and (tmp_path / "real.html").stat().st_size > 10_000
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    assert report(tmp_path / "pipe") == 0
    reader.join()
    assert read[0] == (tmp_path / "real.html").read_bytes() and (tmp_path / "pipe").is_fifo()


def test_a_flag_stands_against_what_the_environment_says(tmp_path, monkeypatch, capsys):
    """A wrong KDVIZ_RUNS_DIR refused commands that were given a right folder, or that need none, and the very
    help that says how.
    """
    make_run(tmp_path / "runs", "one")
    monkeypatch.setenv("KDVIZ_RUNS_DIR", "~nobodyhere/x")
    assert main(["list", "--runs-dir", str(tmp_path / "runs")]) == 0 and main(["tasks"]) == 0
    with pytest.raises(SystemExit) as ended:
        main(["list", "--help"])
    assert ended.value.code == 0 and "default: KDVIZ_RUNS_DIR" in capsys.readouterr().out
    assert main(["list"]) == 2 and "KDVIZ_RUNS_DIR" in capsys.readouterr().err
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    assert main(["show", "one"]) == 0


@pytest.mark.parametrize("command", ["run", "plan", "list", "report", "study", "tasks", "bench"])
def test_a_help_text_says_one_default(capsys, command):
    """ "(default: RUN_ID.html) (default: None)" says two things, and the second is untrue."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "default: None" not in said and not re.search(r"\(default[^)]*\)\)? \(default", said)


def test_a_run_is_named_by_its_folder_too(tmp_path, monkeypatch, capsys):
    """A shell completes runs/one/, and "choose another name" was what came of it; one floor too deep, a run
    was made within another, and its parts were listed as runs.
    """
    run = make_run(tmp_path / "runs", "one")
    runs = ("--runs-dir", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    for text in ("runs/one/", str(run), " one ", f"'{run}'", f"file://{run}"):
        assert main(["show", text, *runs]) == 0, text
    assert main(["report", "runs/one", "one", *runs]) == 0 and (tmp_path / "one.html").exists()
    capsys.readouterr()
    elsewhere = make_run(tmp_path / "other", "two")
    assert main(["delete", str(elsewhere), *runs]) == 2 and elsewhere.is_dir()
    assert f"give two --runs-dir {tmp_path / 'other'}" in capsys.readouterr().err
    for command in (
        ["list"],
        ["run", "--task", "cola", "--source", "sample"],
        ["study", "depth", "--dry-run"],
    ):
        assert main([*command, "--runs-dir", str(run)]) == 2
        assert f"got that of one run, {run}; give {tmp_path / 'runs'}" in capsys.readouterr().err
        if command != ["list"]:
            assert main([*command, "--runs-dir", str(tmp_path / "one.html")]) == 2
            assert f"can be written, got the file {tmp_path / 'one.html'}" in capsys.readouterr().err
    (tmp_path / "runs" / "link").symlink_to(elsewhere)
    assert main(["delete", "link", *runs]) == 2
    assert "got a link, and a run is changed where it lies" in capsys.readouterr().err
    assert main(["delete", "runs/one/", *runs]) == 0 and not run.exists()
