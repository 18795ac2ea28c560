"""How much a run may ask for: what would kill a server is refused with its number before it starts."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import write_study

from kdviz.cli import main
from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.files import GIBIBYTE
from kdviz.jobs.create import create_run
from kdviz.jobs.limits import Limits, footprint
from kdviz.runs.epoch_weights import checkpoint_bytes, kept_epochs
from kdviz.training.request import resolve_request

LIMITS = Limits(memory_bytes=8 * GIBIBYTE)


class Disk:
    total, free = 2000, 1000


def asked(**settings):
    """A request for sample data with the default teacher."""
    return resolve_request(RunConfig(source="sample", dtype_choice="float32", **settings))


def test_the_default_run_fits_a_small_server():
    """A limit that refuses what the page proposes would be switched off."""
    Limits(memory_bytes=3 * GIBIBYTE, disk_bytes=5 * GIBIBYTE).check_run(asked())


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("batch_size", {"batch_size": 1024, "max_length": 512}),
        ("batch_size", {"batch_size": 256, "max_length": 256, "strategy": "soft"}),
        ("cache_memory_mb", {"cache_memory_mb": 10**9}),
        ("cache_memory_mb", {"cache_memory_mb": 10**9, "max_length": 512, "train_size": None}),
        ("cache_disk_mb", {"cache_disk_mb": 10**9}),
        ("checkpoints_mb", {"checkpoints_mb": 10**9}),
        ("snapshots", {"snapshots": 500}),
        ("epochs", {"epochs": 1000}),
    ],
)
def test_what_would_kill_a_server_is_refused_with_its_number(field, settings):
    """Each of these once passed: the page froze, or the disk was full, for everybody."""
    with pytest.raises(RequestError, match=r"server (allows|has) [\d,.]+ ") as caught:
        LIMITS.check_run(asked(**settings))
    assert caught.value.field == field and "\n" not in str(caught.value)


def test_every_part_counts_for_the_whole():
    """Three settings, each just within bounds, must not add up to more than the server has."""
    request = asked(batch_size=128, max_length=128, cache_memory_mb=2048)
    needed = footprint(request)
    assert needed.memory_bytes == sum(needed.memory.values()) > max(needed.memory.values())
    Limits(memory_bytes=needed.memory_bytes, disk_bytes=needed.disk_bytes).check_run(request)
    for short in ({"memory_bytes": needed.memory_bytes - 1}, {"disk_bytes": needed.disk_bytes - 1}):
        with pytest.raises(RequestError, match="this run could take"):
            Limits(**{"memory_bytes": 2**60, "disk_bytes": 2**60, **short}).check_run(request)


def test_students_trained_together_count_together():
    """Five students at once take five times the weights and the disk of one."""
    request = asked(strategy="hard")
    one, five = footprint(request), footprint(request, num_students=5)
    for part in ("checkpoints", "snapshots", "evaluations"):
        assert five.disk[part] == 5 * one.disk[part]
    assert five.memory_bytes > one.memory_bytes and five.disk["outputs"] > one.disk["outputs"]
    just_one = Limits(memory_bytes=one.memory_bytes, disk_bytes=one.disk_bytes)
    just_one.check_run(request)
    with pytest.raises(RequestError, match="this run could take"):
        just_one.check_run(request, num_students=5)


def test_what_another_term_keeps_of_the_teacher_counts():
    """A term is one file: what it has kept beside the paper's must not come on top of what was estimated."""
    settings = {"cache_memory_mb": 10**6, "cache_disk_mb": 10**6}
    paper = footprint(asked(**settings))
    more = footprint(asked(**settings, terms=("kl", "cos", "value_relation")))
    assert more.disk["outputs"] > 1.5 * paper.disk["outputs"]
    assert more.memory["outputs"] > 1.5 * paper.memory["outputs"]


def test_a_run_larger_than_the_free_disk_is_refused(tmp_path, monkeypatch):
    """A run that fills the disk ends every other run on the server too."""
    monkeypatch.setattr("kdviz.files.shutil.disk_usage", lambda path: Disk())
    with pytest.raises(RequestError, match="this server has free"):
        LIMITS.check_run(asked(), tmp_path / "not" / "yet")


def test_a_disk_that_tells_no_size_is_not_full(tiny, tmp_path, monkeypatch, capsys):
    """Some network and container file systems say 0 of 0 bytes are free: there, no run could be started
    and no study carried out.
    """
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 0))
    runs_dir = tmp_path / "not" / "yet"
    LIMITS.check_run(asked(), runs_dir)
    create_run(tiny.config(epochs=1), runs_dir, "one")
    file = write_study(tmp_path / "s.toml", tiny)
    assert main(["study", str(file), "--runs-dir", str(runs_dir), "--dry-run"]) == 0, capsys.readouterr().err


def test_estimates_are_from_above(tiny, tmp_path):
    """A bound that the run exceeds is none: measured on a run of a second."""
    run = tiny.run("one", runs_dir=tmp_path, epochs=3)
    most = footprint(resolve_request(tiny.config(epochs=3)))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= most.disk_bytes + 200_000
    snapshots = sum(path.stat().st_size for path in (run.folder / "snapshots").iterdir())
    assert snapshots <= most.disk["snapshots"] + 50_000
    evaluations = sum(path.stat().st_size for path in (run.folder / "evaluations").iterdir())
    assert evaluations <= most.disk["evaluations"] + 10_000


def test_limits_come_from_the_environment(caplog):
    """A limit that is silently not read is no limit."""
    limits = Limits.from_environment(
        {"KDVIZ_MAX_STEPS": "10", "KDVIZ_MAX_LAYERS": " 2 ", "KDVIZ_MAX_EXAMPLES": "many"}
    )
    assert (limits.steps, limits.layers, limits.examples) == (10, 2, Limits().examples)
    assert "KDVIZ_MAX_EXAMPLES" in caplog.text
    assert Limits.from_environment({"KDVIZ_MAX_STEPS": "9" * 5000}).steps == Limits().steps
    for settings, field in (({"epochs": 1}, "epochs"), ({"student_layers": 3}, "student_layers")):
        with pytest.raises(RequestError, match="this server allows") as caught:
            limits.check_run(asked(**{"train_size": 2000, "student_layers": 2, **settings}))
        assert caught.value.field == field
    Limits(waiting=3).check_waiting(2)
    with pytest.raises(RequestError, match="3 waiting runs, this would be 4"):
        Limits(waiting=3).check_waiting(3)
    with pytest.raises(RequestError, match="would be 4; wait until some"):
        Limits(waiting=3).check_waiting(2, 2)
    with pytest.raises(RequestError, match="would be 4; start fewer at a time"):
        Limits(waiting=3).check_waiting(0, 4)  # there is nothing to wait for


@given(
    st.dictionaries(
        st.sampled_from(["KDVIZ_MAX_STEPS", "KDVIZ_MAX_WAITING", "KDVIZ_MAX_MEMORY_BYTES"]),
        st.text(max_size=30),
    )
)
def test_no_environment_breaks_the_server(environment):
    """A typing slip in a setting must leave a working, no less careful server."""
    assert all(value > 0 for value in vars(Limits.from_environment(environment)).values())


def test_checkpoints_of_every_epoch_are_counted():
    """They are what fills the disk of a small server."""

    def kept(**settings: object) -> int:
        return checkpoint_bytes(1_000_000, RunConfig(**settings)) - checkpoint_bytes(
            1_000_000, RunConfig(keep_checkpoints=False)
        )

    assert kept(epochs=10, checkpoints_mb=100) == 40_000_000
    assert kept(epochs=1000, checkpoints_mb=100) == 100 << 20


@given(st.integers(1, 60), st.integers(1, 10**9), st.integers(0, 10**10))
def test_kept_weights_stay_under_their_limit(num_epochs, size, limit):
    """Without room for two epochs the first and the last were kept all the same."""
    epochs = kept_epochs(num_epochs, size, limit)
    assert len(epochs) * size <= limit and epochs == sorted({*epochs} & {*range(num_epochs + 1)})
    if limit >= 2 * size:
        assert epochs[0] == 0 and epochs[-1] == num_epochs
