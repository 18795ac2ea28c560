"""Creating runs: what is refused before anything is trained, what config.json records, and who may carry a
run out.
"""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch
from conftest import write_tiny_checkpoint
from safetensors.torch import load_file, save_file

from kdviz.config import RunConfig
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.files import write_json
from kdviz.jobs.create import create_run
from kdviz.jobs.execute import execute
from kdviz.jobs.together import create_together
from kdviz.locks import exclusive
from kdviz.runs.reader import Run
from kdviz.runs.store import Store
from kdviz.training.request import resolve_request


def refused(
    tiny, tmp_path: Path, match: str, field: str, run_id: str | None = None, **settings: object
) -> None:
    """The request is refused in one line naming the field, and leaves no trace."""
    with pytest.raises(RequestError, match=match) as caught:
        create_run(tiny.config(**settings), tmp_path / "runs", run_id)
    assert caught.value.field == field and "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_values_out_of_bounds_are_refused_with_their_field(tiny, tmp_path):
    """Each would end in a stack trace, an endless run or, worst, a run that is something else than was asked
    for.
    """
    refused(tiny, tmp_path, "from 1 to 48, got 0", "student_layers", student_layers=0)
    refused(tiny, tmp_path, "at most 4, the teacher's layers, got 5", "student_layers", student_layers=5)
    refused(tiny, tmp_path, "expected one of cola, .* got 'nope'", "task", task="nope")
    refused(tiny, tmp_path, "expected one of hard, soft", "strategy", strategy="both")
    refused(tiny, tmp_path, "expected some of kl,cos", "terms", terms=("kl", "mse"))
    refused(tiny, tmp_path, "needs at least one of kl, cos", "terms", terms=())
    refused(tiny, tmp_path, "student layers from 0 to 1", "active_pairs", active_pairs=(2,))
    refused(tiny, tmp_path, "got nan", "learning_rate", learning_rate=float("nan"))
    refused(tiny, tmp_path, "a whole number, got 2.5", "epochs", epochs=2.5)
    refused(tiny, tmp_path, "true or false", "soft_throughout", soft_throughout=1)
    refused(tiny, tmp_path, "uniform, first, last or custom", "matching", matching="every")
    refused(tiny, tmp_path, "rising teacher layers", "matching", matching="custom:3,1")
    refused(tiny, tmp_path, "at most 64 .* got 65", "max_length", max_length=65)
    for name in ("train_size", "cache_memory_mb", "seed", "student_layers", "learning_rate", "max_grad_norm"):
        for huge in (10**400, 1 << 20_000):
            refused(tiny, tmp_path, f"{name}: expected a", name, **{name: huge})
    refused(tiny, tmp_path, "student layers from 0 to 1", "active_pairs", active_pairs=(10**400,))
    refused(tiny, tmp_path, "student layers from 0 to 1", "active_pairs", active_pairs=(1 << 20_000,))
    refused(tiny, tmp_path, "already fine-tuned for the 2 classes", "teacher_epochs", teacher_epochs=0)


def test_missing_and_malformed_data_are_refused(tiny, tmp_path):
    """A mistyped folder must not turn into sample data, nor a bad row into a dropped one."""
    refused(tiny, tmp_path, "expected a folder, got nothing", "data_dir", data_dir=str(tmp_path / "nowhere"))
    glue = Path(shutil.copytree(tiny.glue / "CoLA", tmp_path / "glue" / "CoLA")).parent
    with open(glue / "CoLA" / "dev.tsv", "a") as file:
        file.write("only\ttwo\n")
    refused(
        tiny,
        tmp_path,
        "dev.tsv, line 15: expected 4 tab-separated columns, got 2",
        "data_dir",
        data_dir=str(glue),
    )


def test_damaged_weights_are_refused_before_anything_is_made(tiny, tmp_path):
    """A run folder of a run that can never start would stay in the list."""
    copy = Path(shutil.copytree(tiny.checkpoint, tmp_path / "copy"))
    content = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
    refused(tiny, tmp_path, "damaged", "teacher", teacher=str(copy))
    refused(tiny, tmp_path, "damaged", "student_checkpoint", student_checkpoint=str(copy))


def test_a_students_own_checkpoint_is_checked_for_fit_and_used(tiny, tmp_path, minilm_folder):
    """Student weights from elsewhere: the fit is told with both numbers, and the layers really come from
    there.
    """
    narrow = write_tiny_checkpoint(tmp_path / "narrow", minilm_folder, hidden_size=64)
    refused(
        tiny,
        tmp_path,
        "teacher .* has 32, student .* has 64",
        "student_checkpoint",
        student_checkpoint=str(narrow),
    )
    shallow = write_tiny_checkpoint(tmp_path / "shallow", minilm_folder, num_hidden_layers=1)
    refused(tiny, tmp_path, "at most 1", "student_layers", student_checkpoint=str(shallow))
    both = {"init": "teacher", "student_checkpoint": str(shallow)}
    refused(tiny, tmp_path, "none where the student starts from the teacher", "student_checkpoint", **both)
    other = write_tiny_checkpoint(tmp_path / "other", minilm_folder, seed=5, num_hidden_layers=2)
    run = tiny.run(student_checkpoint=str(other), epochs=1)
    start = load_file(run.folder / "checkpoints" / "epoch_0000" / "student" / "model.safetensors")
    weights = load_file(other / "model.safetensors")
    for layer in range(2):
        name = f"encoder.layer.{layer}.attention.self.query.weight"
        assert torch.equal(start["bert." + name], weights[name].half())


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/tmp/x",
        "A",
        "a b",
        "-a",
        ".hidden",
        "a\n",
        "a\x00b",
        "ä",
        "a" * 65,
        "teachers",
        "a\\b",
    ],
)
def test_run_ids_are_folder_names_and_nothing_else(tiny, tmp_path, run_id):
    """An id is a path under the runs folder: anything but a plain name could write elsewhere."""
    refused(tiny, tmp_path, "1 to 64 of a-z", "run_id", run_id)
    assert not (tmp_path / "x").exists()


def test_an_id_is_used_once(tiny, tmp_path):
    """A second run in the same folder would append to the first one's numbers."""
    first = create_run(tiny.config(), tmp_path, "mine")
    before = (first / "config.json").read_bytes()
    with pytest.raises(RequestError, match="'mine' exists already") as caught:
        create_run(tiny.config(strategy="soft"), tmp_path, "mine")
    assert caught.value.field == "run_id" and (first / "config.json").read_bytes() == before


def test_runs_that_nobody_named_get_names_of_their_own(tiny, tmp_path, monkeypatch):
    """Two that are made in the same second were one too many: the second was told to choose another name."""
    names = iter(["first", "first", "first", "second"])
    monkeypatch.setattr("kdviz.jobs.create._fresh_id", lambda *asked: next(names))
    request = resolve_request(tiny.config())
    assert [create_run(request, tmp_path).name for _ in range(2)] == ["first", "second"]
    names = iter(["group", "group", "other"])
    made = [create_together(request, ["soft", "all"], tmp_path) for _ in range(2)]
    assert [folder.name for folders in made for folder in folders] == [
        "group-soft",
        "group-all",
        "other-soft",
        "other-all",
    ]
    monkeypatch.undo()
    monkeypatch.setattr("kdviz.jobs.create.time.strftime", lambda form: "now")
    for _ in range(2):
        made.append(create_together(request, ["soft", "all"], tmp_path))
    assert len({folder.name for folders in made for folder in folders}) == 8


def test_what_killed_processes_left_of_run_folders_goes(tiny, tmp_path):
    """No listing shows it and no command removes it: it filled the disk. What is being made stays."""
    names = [".old.0123abcd.new", ".young.0123abcd.new", ".made.0123abcd.new", ".deleted-run-4711", ".mine"]
    for name in names:
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "lock").touch()
        os.utime(tmp_path / name, (1, 1) if "young" not in name else None)
    (tmp_path / ".deleted-link-1").symlink_to(tmp_path / ".mine")
    with exclusive(tmp_path / ".made.0123abcd.new" / "lock"):
        create_run(tiny.config(), tmp_path, "run")
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"run", ".young.0123abcd.new", ".made.0123abcd.new", ".mine", ".deleted-link-1"}


@pytest.mark.parametrize("broken", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_run_is_made_whole_or_not_at_all(tiny, tmp_path, monkeypatch, broken):
    """A folder without config.json can be neither resumed nor deleted, and its name is taken."""

    def write(path, value):
        if path.name == "config.json":
            raise broken
        write_json(path, value)

    monkeypatch.setattr("kdviz.jobs.create.write_json", write)
    with pytest.raises(type(broken)):
        create_run(tiny.config(), tmp_path / "runs", "one")
    assert os.listdir(tmp_path / "runs") == []


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.txt", "status.json", "checkpoints/x"])
@pytest.mark.parametrize("what", ["link", "pipe"])
def test_a_run_does_not_write_through_links_and_pipes(tiny, tmp_path, name, what):
    """A line appended to a link lands in somebody else's file; a pipe is waited for, for ever."""
    folder, other = tiny.create("one", runs_dir=tmp_path / "runs"), tmp_path / "other"
    other.write_text("years of work\n")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(other) if what == "link" else os.mkfifo(path)
    with pytest.raises(RequestError, match=f"a link, a pipe or a device at {name}") as caught:
        execute(folder, num_threads=1)
    assert caught.value.field == "run_id" and other.read_text() == "years of work\n"


def test_a_run_does_not_write_through_a_link_to_a_folder(tiny, tmp_path):
    """Its evaluations would lie in another run's folder, over what is there."""
    folder, other = tiny.create("one", runs_dir=tmp_path / "runs"), tmp_path / "other"
    other.mkdir()
    (folder / "evaluations").symlink_to(other)
    with pytest.raises(RequestError, match="a link, a pipe or a device at evaluations"):
        execute(folder, num_threads=1)
    assert os.listdir(other) == []


def test_a_runs_folder_that_cannot_be_written_is_refused(tiny, tmp_path):
    """Found out after the teacher's minutes, it would cost them."""
    (tmp_path / "file").write_text("")
    for runs_dir in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/kdviz-runs")):
        with pytest.raises(RequestError, match="expected a folder that can be written") as caught:
            create_run(tiny.config(), runs_dir)
        assert caught.value.field == "runs_dir" and "\n" not in str(caught.value)


def test_config_json_holds_every_setting_and_where_the_numbers_come_from(tiny):
    """A setting that is not recorded is a run that cannot be repeated."""
    run = tiny.run(strategy="sid", epochs=3)
    config = run.config
    asked = tiny.config(strategy="sid", epochs=3)
    assert RunConfig.from_dict(config) == asked
    assert config["pairs"] == [[0, 1], [1, 3]] and [stage["epochs"] for stage in config["stages"]] == [
        1,
        1,
        1,
    ]
    assert (
        config["data"]["source"] == "folder"
        and config["data"]["num_train"] == 36
        and config["data"]["train_total"] == 40
        and config["data"]["num_eval"] == config["data"]["eval_total"] == 14
    )
    assert len(config["data"]["fingerprint"]) == len(config["teacher_fingerprint"]) == 16
    assert {"torch", "transformers", "numpy", "kdviz"} <= set(config["versions"])
    assert (
        config["device"] == "cpu"
        and config["dtype"] == "float32"
        and config["device_reason"]
        and config["dtype_reason"]
        and config["num_threads"] == 1
    )
    score = json.loads(
        (run.folder.parent / "teachers" / config["teacher_fingerprint"] / "metrics.json").read_text()
    )
    assert next(iter(score.values()))["metrics"] == run.evals[0]["teacher_metrics"]


def test_a_run_can_be_resumed_from_another_working_directory(tiny, tmp_path, monkeypatch):
    """Relative folders are those of the day the run was made; the folder of the variable may be another one
    by now.
    """
    shutil.copytree(tiny.glue, tmp_path / "here" / "glue")
    shutil.copytree(tiny.checkpoint, tmp_path / "here" / "tiny")
    monkeypatch.chdir(tmp_path / "here")
    relative = create_run(
        tiny.config(data_dir="glue", teacher="tiny", strategy="soft", epochs=1, teacher_epochs=1),
        tmp_path / "runs",
        "relative",
    )
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path / "here" / "glue"))
    variable = create_run(
        tiny.config(data_dir=None, strategy="soft", epochs=1, teacher_epochs=1), tmp_path / "runs", "variable"
    )
    monkeypatch.delenv("KDVIZ_GLUE_DIR")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    for folder in (relative, variable):
        execute(folder, num_threads=1)
        assert Run(folder).state == "finished"


def test_a_run_records_the_device_it_is_trained_on(tiny, tmp_path):
    """A run made on a machine with a GPU and taken up on one without said cuda to the end."""
    folder = tiny.create(runs_dir=tmp_path, device_choice="auto", epochs=1)
    config = json.loads((folder / "config.json").read_text())
    there = "cpu" if config["device"] == "cuda" else "cuda"
    (folder / "config.json").write_text(json.dumps({**config, "device": there, "device_reason": "as then"}))
    execute(folder, num_threads=1)
    record = Run(folder).config
    assert record["device"] == config["device"] and record["dtype"] == config["dtype"]
    assert record["device_reason"] == f"{config['device_reason']}; when the run was made it was {there}"
    assert record["device_reason"] in (folder / "log.txt").read_text()


def test_a_run_on_a_full_disk_is_refused_before_anything_is_made(tiny, tmp_path, monkeypatch):
    """A folder that cannot even hold its log would stay half made."""
    monkeypatch.setattr("kdviz.files.shutil.disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    with pytest.raises(RequestError, match="at least 64.0 MB free"):
        create_run(tiny.config(), tmp_path / "runs", "one")
    assert not any((tmp_path / "runs").iterdir())


def test_a_run_is_carried_out_by_one_at_a_time(tiny):
    """Two writers in one folder would interleave their lines and fight over checkpoints."""
    folder = tiny.create()
    with exclusive(folder / "lock") as ours:
        assert ours
        with pytest.raises(RequestError, match="being trained by another process") as caught:
            execute(folder, num_threads=1)
    assert (
        caught.value.field == "run_id"
        and Run(folder).state == "queued"
        and not (folder / "metrics.jsonl").exists()
    )


def test_a_run_that_is_stopped_before_it_begins_trains_nothing(tiny):
    """Somebody leaves while the run waits in the queue: no core may be spent on it."""
    folder, stop = tiny.create(), threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        execute(folder, stop=stop, num_threads=1)
    assert Run(folder).state == "stopped" and not Run(folder).evals


@pytest.mark.parametrize("phase", ["teacher", "distilling", "evaluating"])
def test_a_run_whose_folder_is_removed_ends_and_does_not_make_it_again(tiny, tmp_path, monkeypatch, phase):
    """Trained to its end it would leave a folder without a config, that nobody can read, after minutes of
    work for nobody.
    """
    monkeypatch.setattr("kdviz.runs.writer.STATUS_INTERVAL_SECONDS", 0.0)
    folder = tiny.create("removed", runs_dir=tmp_path, epochs=3)
    with pytest.raises(RunFailed, match="^the run's folder is gone: it was moved or deleted m") as caught:
        execute(
            folder,
            num_threads=1,
            progress=lambda status: shutil.rmtree(folder) if status["phase"] == phase else None,
        )
    assert "\n" not in str(caught.value) and not folder.exists() and Store(tmp_path).list() == []


def test_a_run_writes_nothing_outside_its_folder_and_the_teachers(tiny, tmp_path):
    """The contract: a run never writes outside its folder; only teachers are shared, by fingerprint."""
    runs = tmp_path / "runs"
    run = tiny.run("only", runs_dir=runs, strategy="all", epochs=1, teacher_epochs=1)
    assert sorted(path.name for path in runs.iterdir()) == ["only", "teachers"] and os.listdir(tmp_path) == [
        "runs"
    ]
    # A study's or the machine's own folders for caches may begin with a dot; everything else is a finished
    # teacher.
    assert [path.name for path in (runs / "teachers").iterdir() if not path.name.startswith(".")] == [
        run.config["teacher_fingerprint"]
    ]
    assert [entry.id for entry in Store(runs).list()] == ["only"]
    assert (
        not list(run.folder.rglob("*.tmp"))
        and not list(run.folder.rglob("*.pt"))
        and not list(run.folder.rglob("*.pkl"))
    )


def test_a_checkpoint_already_fine_tuned_is_used_as_it_is(tiny, tmp_path):
    """With no epochs of fine-tuning the teacher is the checkpoint, classifier included: a fresh classifier
    would be noise.
    """
    first = tiny.run(epochs=1)
    teacher = first.folder.parent / "teachers" / first.config["teacher_fingerprint"]
    run = tiny.run(teacher=str(teacher), teacher_epochs=0, epochs=1)
    assert run.evals[0]["teacher_metrics"] == first.evals[0]["teacher_metrics"]
    again = load_file(
        run.folder.parent / "teachers" / run.config["teacher_fingerprint"] / "model.safetensors"
    )
    assert all(
        torch.equal(tensor, again[name]) for name, tensor in load_file(teacher / "model.safetensors").items()
    )


def test_a_tokenizer_with_words_beyond_the_vocabulary_is_refused(tiny, tmp_path, minilm_folder):
    """An index beyond the table is a crash on a CPU, and on a GPU an error that names another line."""
    small = write_tiny_checkpoint(tmp_path / "small", minilm_folder, vocab_size=500)
    refused(tiny, tmp_path, "tokens beyond the model's vocabulary of 500", "teacher", teacher=str(small))


def test_the_same_weights_under_another_config_are_another_teacher(tiny, tmp_path):
    """Two heads instead of four on the same numbers is another model: it must not be found under the first
    one's name.
    """
    copy = Path(shutil.copytree(tiny.checkpoint, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "num_attention_heads": 2}))
    names = [
        json.loads((tiny.create(**settings) / "config.json").read_text())["teacher_fingerprint"]
        for settings in ({}, dict(teacher=str(copy)))
    ]
    assert names[0] != names[1]
    state = load_file(copy / "model.safetensors")
    save_file(
        {f"bert.{name}": tensor for name, tensor in state.items()},
        copy / "model.safetensors",
        {"format": "pt"},
    )
    assert tiny.create(teacher=str(copy)).exists(), "the names that classifiers are stored with are known too"
