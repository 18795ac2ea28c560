"""Studies on a real Ray cluster of two nodes on loopback: nothing is lost with a node, or with the driver."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdviz.cli import main
from kdviz.errors import RequestError
from kdviz.runs.reader import Run
from kdviz.studies.bundle import pack, unpack
from kdviz.studies.check import check_study
from kdviz.studies.folder import open_study
from tests.conftest import metrics_lines

ROOT = Path(__file__).parents[1]
STORE_BYTES = 300 << 20  # holds a study's runs: what it cannot hold goes to the disk


def write_study(path: Path, checkpoint: Path, data: Path, *, epochs: int) -> Path:
    settings = dict(
        task="cola",
        source="folder",
        data_dir=str(data),
        teacher=str(checkpoint),
        student_layers=2,
        epochs=epochs,
        batch_size=4,
        max_length=32,
        teacher_epochs=1,
        snapshots=2,
        device_choice="cpu",
        dtype_choice="float32",
    )
    lines = ["[settings]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    path.write_text(
        "\n".join([*lines, '[grid]\nstrategy = ["soft", "all"]\nseed = [0, 1]\n[resources]\ncpus = 1'])
    )
    return path


# ---- folders as bytes


def test_a_folder_travels_whole(tmp_path):
    """A teacher that loses a file on the way is another teacher on the other machine."""
    source = tmp_path / "from"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "deep" / "b").write_bytes(bytes(range(256)))
    target = unpack(pack(source, prefix="p"), tmp_path / "to")
    assert (target / "p" / "a.txt").read_text() == "a"
    assert (target / "p" / "deep" / "b").read_bytes() == bytes(range(256))
    assert not list(tmp_path.glob(".*"))
    again = unpack(pack(source, keep=lambda path: path.name == "b"), tmp_path / "to")
    assert [path.name for path in again.rglob("*") if path.is_file()] == ["b"]


def test_a_folder_appears_only_once_it_is_settled(tmp_path):
    """A driver killed in between would leave a run whose config.json names another machine's folders."""
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "config.json").write_text("there")

    def broken(incoming: Path) -> None:
        (incoming / "config.json").write_text("half")
        raise OSError("killed")

    with pytest.raises(OSError):
        unpack(pack(tmp_path / "from"), tmp_path / "to", settle=broken)
    assert [path.name for path in tmp_path.iterdir()] == ["from"]
    unpack(
        pack(tmp_path / "from"), tmp_path / "to", settle=lambda place: (place / "config.json").write_text("x")
    )
    assert (tmp_path / "to" / "config.json").read_text() == "x"


@pytest.mark.parametrize("name", ["../outside", "deep/../../outside"])
def test_what_arrives_cannot_leave_its_folder(tmp_path, name):
    """A worker's answer is foreign: a path in it must not overwrite a file of this machine."""
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(RequestError, match="cannot be unpacked"):
        unpack(buffer.getvalue(), tmp_path / "inner" / "to")
    assert not (tmp_path / "outside").exists() and not (tmp_path / "inner" / "outside").exists()
    with pytest.raises(RequestError, match="cannot be unpacked"):
        unpack(b"no archive", tmp_path / "inner" / "to")


def test_without_ray_the_study_is_refused_in_one_line(tiny, tmp_path, capsys, monkeypatch):
    """An import error in the midst of a study names a package, and not what to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    file = write_study(tmp_path / "s.toml", tiny.checkpoint, tiny.glue, epochs=1)
    assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs"), "--on", "ray"]) == 2
    said = capsys.readouterr().err
    assert "requirements-ray.txt" in said and said.count("\n") == 1


def test_a_lost_run_is_told_by_what_its_machine_ran_into():
    """Ray's own words begin with colour codes and lines of its code; what one can do something about comes
    last, and is cut off.
    """
    exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed (requirements-ray.txt)")
    from kdviz.studies.on_ray import why_lost

    cause = exceptions.OutOfDiskError("Local disk is full\n" + "the way there " * 40)
    error = exceptions.RayTaskError("run_task", "\x1b[36mray::run_task()\x1b[39m File a.pxi", cause)
    for told in (error, error.as_instanceof_cause()):
        assert why_lost(told).startswith("OutOfDiskError: Local disk is full")
        assert "\x1b" not in why_lost(told) and "\n" not in why_lost(told) and len(why_lost(told)) <= 300
    assert why_lost(exceptions.WorkerCrashedError()).startswith("WorkerCrashedError: The worker died")


# ---- a cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)")
    from ray.cluster_utils import Cluster

    workplace = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_TMPDIR", "/tmp")  # sockets have short names
        patched.setenv("RAY_local_fs_capacity_threshold", "1")  # what else fills this disk is not the test's
        patched.setenv("RAY_worker_niceness", "0")  # at Ray's own, 15, tests beside these take what there is
        patched.setenv("TMPDIR", str(workplace))  # where the workers' temporary folders are
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE_BYTES},
        )
        cluster.workplace = workplace
        cluster.second = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def at_home(tiny_checkpoint, glue, tmp_path_factory) -> tuple[Path, Path]:
    """(file, runs folder) of the study carried out on this machine alone."""
    folder = tmp_path_factory.mktemp("home")
    file = write_study(folder / "grid.toml", tiny_checkpoint, glue, epochs=8)
    assert main(["study", str(file), "--runs-dir", str(folder / "runs")]) == 0
    return file, folder / "runs"


def same_as_at_home(runs_dir: Path, home: Path) -> None:
    for run in home.glob("grid-*"):
        there, here = Run(runs_dir / run.name), Run(run)
        assert there.state == "finished"
        assert metrics_lines(there.folder) == metrics_lines(here.folder)
        assert (there.folder / "student" / "model.safetensors").read_bytes() == (
            here.folder / "student" / "model.safetensors"
        ).read_bytes()
        names = ("teacher", "data_dir", "source", "teacher_fingerprint", "data", "dtype", "num_threads")
        assert [there.config[name] for name in names] == [here.config[name] for name in names]
        assert {path.name for path in there.folder.iterdir()} >= {
            path.name for path in here.folder.iterdir() if path.name not in ("lock", "waiting.lock")
        }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_driver_that_dies_and_returns_picks_up_what_is_done(cluster, at_home, tmp_path):
    """The laptop that asked the cluster is closed at night."""
    file, home = at_home
    copy, runs_dir = shutil.copy(file, tmp_path / "grid.toml"), tmp_path / "runs"
    command = [sys.executable, "-m", "kdviz", "study", str(copy), "--runs-dir", str(runs_dir)]
    command += ["--on", "ray", "--address", cluster.address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 900
    while not list(runs_dir.glob("grid-*/config.json")) and process.poll() is None:  # comes whole
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stamps = {path: os.stat(path).st_mtime_ns for path in runs_dir.glob("grid-*/metrics.jsonl")}
    assert 1 <= len(stamps) < 4
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path: os.stat(path).st_mtime_ns for path in stamps} == stamps
    same_as_at_home(runs_dir, home)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_lost_nodes_run_is_tried_again_elsewhere(cluster, at_home, tmp_path):
    """A spot machine is taken away in the middle: its run is made anew, and is the same run."""
    from kdviz.studies.on_ray import run_on_ray

    file, home = at_home
    copy, runs_dir, said = shutil.copy(file, tmp_path / "grid.toml"), tmp_path / "runs", []

    def say(text: str) -> None:
        said.append(text)
        if "is finished" in text and cluster.second is not None:
            cluster.remove_node(cluster.second, allow_graceful=False)
            cluster.second = None

    study = open_study(copy, None, runs_dir)
    failed = run_on_ray(study, check_study(study, runs_dir), runs_dir, address=cluster.address, say=say)
    assert failed == {} and cluster.second is None
    assert len([text for text in said if "is finished" in text]) == 4
    assert list(cluster.workplace.glob("kdviz-*")), "no run was in progress on the node when it was lost"
    same_as_at_home(runs_dir, home)
