"""Other people's machines: folders without locks, narrow encodings, few cores, `~`, foreign files."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from folders import make_run
from no_leave import forbid

from kdviz import machine
from kdviz.cli import main
from kdviz.data import load_examples
from kdviz.errors import RequestError
from kdviz.files import write_json
from kdviz.jobs.create import create_run
from kdviz.locks import exclusive, is_locked
from kdviz.models.check import check_models
from kdviz.paths import runs_folder, user_path
from kdviz.runs.store import Store
from kdviz.share.own_sentence import can_be_asked

ROOT = Path(__file__).parents[1]


def test_a_python_without_docstrings_is_named_as_the_cause(tmp_path):
    """transformers reads its docstrings: under -OO it says that a good checkpoint describes no model."""
    command = [sys.executable, "-OO", "-m", "kdviz", "plan", "--task", "cola", "--runs-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and re.fullmatch("kdviz: Python: .*-OO.*start it without\n", done.stderr)


def test_a_folder_in_a_files_place_is_called_that(tiny):
    """The system names a temporary file that nobody made, and nothing to do."""
    folder = tiny.create()
    (folder / "status.json").unlink()
    (folder / "status.json").mkdir()
    with pytest.raises(OSError, match="a file was expected, there is a folder; move it away") as caught:
        write_json(folder / "status.json", {})
    assert caught.value.filename == str(folder / "status.json")
    assert sorted(path.name for path in folder.glob("*.tmp")) == []


def test_who_can_read_a_run_can_read_its_weights(tiny, tmp_path):
    """safetensors writes files that their owner alone can read: who shares a runs folder could look at every
    number and not load student/.
    """
    before = os.umask(0o027)
    try:
        run = tiny.run(runs_dir=tmp_path / "runs", epochs=1, teacher_epochs=2, student_layers=1)
    finally:
        os.umask(before)
    files = [path for path in run.folder.parent.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"model.safetensors", "optimizer.safetensors", "state.json"}
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {
        path.name: "0o640" for path in files
    }


@pytest.mark.parametrize(
    "given", ["~/x", " ~/x ", '"~/x"', "'~/x'", " '~/x '", "~/y/../x", "\u201c~/x\u201d", "\u200b~/x"]
)
def test_a_path_means_the_same_wherever_it_is_given(given, tmp_path, monkeypatch):
    """KDVIZ_RUNS_DIR=~/x once was one folder for the app and another, named `~`, for the command line."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert user_path(given) == tmp_path / "x"
    assert runs_folder({"KDVIZ_RUNS_DIR": given}) == tmp_path / "x"
    (tmp_path / "x").mkdir()
    assert main(["list", "--json", f"--runs-dir={given}"]) == 0
    monkeypatch.setenv("KDVIZ_RUNS_DIR", given)
    assert main(["list", "--json"]) == 0
    assert sorted(os.listdir(tmp_path)) == ["x"]


def test_a_file_address_is_its_path(tmp_path, monkeypatch):
    """Browsers and file managers copy it, with %20 for a blank: the folder was made as `file:` here."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my runs"
    folder.mkdir()
    for given in (folder.as_uri(), f"{folder.as_uri()}/", f"FILE://{folder}", f" '{folder.as_uri()}' "):
        assert user_path(given) == folder, given
        assert main(["list", "--json", f"--runs-dir={given}"]) == 0
    assert sorted(os.listdir(tmp_path)) == ["my runs"]


@pytest.mark.parametrize("given", ["", "  ", "''", "a\0b", "~no-such-user/runs", "/x" * 3000, "x" * 300])
def test_a_text_that_is_no_path_is_refused(given):
    """An empty text would mean the working directory, which nobody asked for, and a home folder that there is
    not a folder named ~ in it.
    """
    with pytest.raises(RequestError, match="expected a path"):
        user_path(given)
    assert runs_folder({"KDVIZ_RUNS_DIR": " "}) == Path.cwd() / "runs"


def test_a_working_directory_that_was_removed_is_called_so(tmp_path, monkeypatch, capsys):
    """ "No such file or directory", with no file named, sends people to look at their runs folder."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["list"]) == 2
    assert "'runs' is meant from the working directory, and that was removed" in capsys.readouterr().err
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path))
    assert main(["list", "--json"]) == 0


def test_a_runs_folder_behind_a_link_that_leads_nowhere_is_called_so(tiny, tmp_path):
    """ "File exists" is what the system says where a disk is not mounted."""
    (tmp_path / "runs").symlink_to(tmp_path / "not mounted")
    with pytest.raises(RequestError, match="runs, a link that leads nowhere; choose another"):
        create_run(tiny.config(), tmp_path / "runs", "one")


def test_a_named_folder_that_is_not_there_is_said_beside_the_tasks(tmp_path, monkeypatch, capsys):
    """ "None here: give a folder" reads as if none had been given, where its name has a slip."""
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path / "glu"))
    assert main(["tasks"]) == 0
    assert f"the folder of GLUE that was named is not there: {tmp_path / 'glu'}" in capsys.readouterr().err
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path))
    assert main(["tasks"]) == 0 and not capsys.readouterr().err


def test_a_path_that_no_file_can_keep_is_refused_before_anything_is_made(tiny, tmp_path, capsys):
    """A folder named in Latin-1 has a name that config.json cannot hold: the run would end in a traceback."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    shutil.copytree(tiny.glue, odd)
    shutil.copytree(tiny.checkpoint, f"{odd}/m")
    for given in ({"data_dir": odd}, {"teacher": f"{odd}/m"}):
        with pytest.raises(RequestError, match="data_dir: expected a path in UTF-8|teacher: expected one of"):
            create_run(tiny.config(**given), tmp_path / "runs", "odd")
    assert main(["list", "--runs-dir", odd]) == 2
    assert "--runs-dir: expected a path in UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_foreign_text_does_not_reach_the_terminal_raw(tiny, tmp_path, capsys):
    """A folder's name or a reason with escape codes would clear the screen, or write over what was there."""
    code = "\x1b[2J\x1b]0;x\x07\u202e"
    (tmp_path / f"name{code}").mkdir()
    folder = create_run(tiny.config(), tmp_path, "run")
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "state": "failed", "error": f"why{code}"}))
    config = json.loads((folder / "config.json").read_text())
    config["data"]["note"] = f"data{code}"
    (folder / "config.json").write_text(json.dumps(config))
    for command in (["list"], ["show", "run"], ["show", f"x{code}"], ["list", code]):
        main([*command, "--runs-dir", str(tmp_path)])
        said = "".join(capsys.readouterr())
        assert said.replace("\n", "").isprintable(), command


def test_a_data_folder_in_the_home_folder_is_recorded_absolutely(tiny, tmp_path, monkeypatch):
    """A study that is continued from another folder or by another shell compares what was recorded."""
    monkeypatch.setenv("HOME", str(tiny.glue.parent))
    folder = create_run(tiny.config(data_dir=f" ~/{tiny.glue.name}"), tmp_path, "home")
    assert json.loads((folder / "config.json").read_text())["data_dir"] == str(tiny.glue)


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, as some network disks are."""
    fcntl = pytest.importorskip("fcntl")

    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)


def test_a_folder_that_cannot_be_locked_is_called_so(tiny, tmp_path, no_locks):
    """It was "trained by another process", and a run that nobody could start or delete was left behind."""
    with pytest.raises(RequestError, match="cannot be locked"):
        create_run(tiny.config(), tmp_path, "one")
    assert not (tmp_path / "one").exists()
    (tmp_path / "lock").touch()
    assert not is_locked(tmp_path / "lock")


def test_looking_at_a_lock_disturbs_nobody(tmp_path):
    """Thirty viewers look at the same lock: none may take another's look for a running training."""
    path, answers = tmp_path / "lock", []
    path.touch()

    def look():
        answers.extend(is_locked(path) for _ in range(50))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    with exclusive(tmp_path / "other") as ours:
        assert ours
    for thread in threads:
        thread.join()
    assert answers == [False] * 400
    with exclusive(path) as ours:
        assert ours and is_locked(path)
        with exclusive(path, patience_seconds=0) as twice:
            assert not twice
    assert not is_locked(path)


def test_a_run_on_nfs_is_seen_to_be_running(tmp_path, monkeypatch):
    """There an exclusive lock wants a file open for writing, which a look does not have: every running run
    was "interrupted", and could not be stopped.
    """
    fcntl = pytest.importorskip("fcntl")
    genuine = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if mode == (os.O_RDONLY if how & fcntl.LOCK_EX else os.O_WRONLY):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        genuine(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with exclusive(tmp_path / "lock") as ours:
        assert ours and is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")


def test_two_looks_at_a_lock_at_once_see_that_nobody_holds_it(tmp_path):
    """Another process' look was taken for a training that goes on."""
    fcntl, path = pytest.importorskip("fcntl"), tmp_path / "lock"
    path.touch()
    with open(path, "rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        assert not is_locked(path)


def test_without_the_posix_module_of_locks_the_commands_that_need_none_work():
    """Windows has no fcntl: importing kdviz must not end in a traceback."""
    code = "import sys; sys.modules['fcntl'] = None\nfrom kdviz.cli import main; sys.exit(main(['teachers']))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "minilm-l6" in done.stdout and not done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_lacks_a_sign_gets_another(encoding, monkeypatch, tmp_path):
    """λ, × and a file name of another alphabet ended whole commands in a traceback."""
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    assert main(["teachers"]) == 0
    assert main(["show", "Ωмега\udcff", "--runs-dir", str(tmp_path / "каталог")]) == 2
    sys.stdout.flush()
    assert b"--hard-weight" in sys.stdout.buffer.getvalue()


def test_only_the_cores_allowed_are_used(tmp_path, monkeypatch):
    """64 threads on 4 allowed cores of a cluster's node wait for each other most of the time."""
    assert machine.cores_allowed({"OMP_NUM_THREADS": "3"}) == 3
    assert machine.cores_allowed({"OMP_NUM_THREADS": "2,1"}) == 2
    assert machine.cores_allowed({"OMP_NUM_THREADS": "9" * 30}) == machine.most_threads()
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for wrong in ("", "0", "many", "-1"):
        assert machine.cores_allowed({"OMP_NUM_THREADS": wrong}) == 8
    for content, cores in (("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("nonsense", 8)):
        (tmp_path / "cpu.max").write_text(content)
        assert machine.cores_allowed({}) == cores
    for cores, beside_pages in ((1, 1), (2, 1), (3, 1), (8, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert machine.cores_beside_pages({}) == beside_pages
        assert machine.cores_beside_pages({"OMP_NUM_THREADS": "3"}) == 3
    (tmp_path / "memory.max").write_text("max")
    everything = machine.memory_allowed()
    (tmp_path / "memory.max").write_text("1048576")
    assert machine.memory_allowed() == 1 << 20 and (everything is None or everything > 1 << 20)


@pytest.mark.parametrize("command", [["run", "--threads"], ["bench", "--threads"]])
def test_more_threads_than_a_process_can_have_are_refused(command, capsys):
    """A hundred thousand of them ended torch, and the command with it, without a word."""
    for asked in ("100000", "0", "-1", "x"):
        assert main([*command, asked]) == 2
        said = capsys.readouterr().err
        assert "--threads: expected" in said and "invalid" not in said


FOREIGN = ["[]", "null", "3", '"running"', '{"state": 5}', "{", "", "\xff", "[" * 100_000, None]


@pytest.mark.parametrize("content", FOREIGN, ids=[str(number) for number in range(len(FOREIGN))])
def test_a_foreign_status_never_ends_a_command_in_a_traceback(content, tiny, tmp_path, capsys):
    """status.json may come from another version, another program, or half a disk; None is a folder there."""
    folder = create_run(tiny.config(epochs=1, strategy="soft", teacher_epochs=1), tmp_path, "one")
    (folder / "status.json").unlink()
    if content is None:
        (folder / "status.json" / "x").mkdir(parents=True)
    else:
        (folder / "status.json").write_bytes(content.encode("latin-1"))
    for command, status in (
        ("list", 0),
        ("show", 0),
        ("stop", 2),
        ("resume", 0 if content is not None else 1),
    ):
        asked = [command, *(["one"] if command != "list" else []), "--runs-dir", str(tmp_path)]
        assert main(asked) == status, command
    said = capsys.readouterr().err
    assert "Traceback" not in said and ("could not be read or written" in said) == (content is None)
    if content is not None:
        assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert main(["delete", "one", "--runs-dir", str(tmp_path)]) == 0


def test_a_file_that_cannot_be_replaced_leaves_no_litter(tmp_path):
    """Every second attempt to write a status would leave a file until the disk is full."""
    (tmp_path / "status.json" / "x").mkdir(parents=True)
    with pytest.raises(OSError):
        write_json(tmp_path / "status.json", {})
    assert os.listdir(tmp_path) == ["status.json"]


def test_a_cache_folder_that_can_be_none_is_said_where_it_would_be_needed(monkeypatch, capsys):
    """It took the whole list of teachers with it."""
    monkeypatch.setenv("KDVIZ_CACHE_DIR", "''")
    assert main(["teachers"]) == 0
    said = capsys.readouterr().out
    assert "It cannot be used: KDVIZ_CACHE_DIR: expected a path" in said and "minilm-l6" in said


@pytest.mark.parametrize("closed", [".", "model.safetensors", "tokenizer.json", "config.json"])
def test_a_checkpoint_that_may_not_be_read_is_called_so(tiny, tmp_path, monkeypatch, closed):
    """On a shared machine: "choose another with --runs-dir" was the advice about another user's model."""
    folder = shutil.copytree(tiny.checkpoint, tmp_path / "own")
    forbid(monkeypatch, folder if closed == "." else folder / closed)
    with pytest.raises(RequestError, match=r"may not be read \(Permission denied\); ask its owner") as caught:
        check_models(tiny.config(teacher=str(folder)))
    assert caught.value.field == "teacher" and str(folder) in str(caught.value)


def test_a_cache_that_may_not_be_read_holds_nothing(tiny, tmp_path, monkeypatch, capsys):
    """The hub's cache of another user ended every command, and every page that asks where data can be had."""
    for name in ("datasets/nyu-mll___glue/cola/0.0.0/abc/dataset_info.json", "hub/models--a--b/refs/main"):
        (tmp_path / "hf" / name).parent.mkdir(parents=True)
        (tmp_path / "hf" / name).write_text("{}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE", "KDVIZ_GLUE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forbid(monkeypatch, tmp_path / "hf")
    assert main(["tasks"]) == 0 and main(["teachers"]) == 0
    assert load_examples("cola", "auto").source == "sample"
    with pytest.raises(RequestError, match="a/b is not in the local cache"):
        check_models(tiny.config(teacher="a/b"))


def test_runs_that_may_not_be_read_are_called_so(tmp_path, monkeypatch, capsys):
    """A run of another user "has no config.json", and one whose numbers are closed was to run longer."""
    runs = ("--runs-dir", str(tmp_path / "runs"))
    closed, numbers = (make_run(tmp_path / "runs", name) for name in ("closed", "numbers"))
    with monkeypatch.context() as patch:
        forbid(patch, closed, numbers / "metrics.jsonl")
        found = {entry.id: entry for entry in Store(tmp_path / "runs").list()}
        assert found["closed"].reason == "it may not be read (Permission denied)"
        assert main(["show", "numbers", *runs]) == 0
        assert "metrics.jsonl cannot be used as a whole: Permission denied" in capsys.readouterr().out
        assert main(["report", "numbers", *runs]) == 2
        assert "without; its metrics.jsonl cannot be used: Permission denied" in capsys.readouterr().err
        assert not can_be_asked(found["numbers"])
