"""The same numbers whenever a run is repeated, interrupted and resumed, or carried out beside another one."""

import shutil
import threading
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from stopped import SID, assert_same_run, stop_in

import kdviz.training.epoch
from kdviz.errors import RequestError, RunFailed
from kdviz.jobs.execute import execute
from kdviz.method import losses
from kdviz.runs.reader import Run
from kdviz.runs.writer import RunWriter


def test_the_same_seed_gives_the_same_run_to_the_last_bit(tiny, straight):
    """A run that cannot be repeated proves nothing; a seed that is ignored makes all seeds one."""
    first = straight(**SID)
    assert_same_run(first.folder, tiny.run(**SID).folder)
    other = tiny.run(**SID, seed=1)
    assert other.config["teacher_fingerprint"] == first.config["teacher_fingerprint"], (
        "seeds share the teacher"
    )
    assert (
        other.evals[0]["logit_kl"] != first.evals[0]["logit_kl"]
        and other.train_lines[0]["loss"] != first.train_lines[0]["loss"]
    )


@pytest.mark.parametrize(
    "settings",
    [
        SID,
        dict(strategy="pid", epochs=4, cosine_threshold=1.9, epochs_per_layer=1),
        dict(strategy="all", epochs=4),
    ],
    ids=["sid", "pid", "all"],
)
def test_a_run_interrupted_in_every_stage_ends_as_an_unbroken_one(tiny, straight, settings):
    """Lost moments, another order of examples or a stage begun anew give another student, and nobody would
    know.
    """
    folder = tiny.create(**settings)
    stop_in(folder, "evaluate", 1)  # before the first checkpoint
    stop_in(folder, "train_epoch", 3)  # in the first stage
    assert [line["epoch"] for line in Run(folder).evals] == [0]
    stop_in(folder, "evaluate", 1)  # the epoch is trained but not measured: it is trained again
    stop_in(folder, "train_epoch", 8)  # in the second stage
    assert [line["epoch"] for line in Run(folder).evals] == [0, 1]
    stop_in(folder, "train_epoch", 6)  # at the first step of the last stage
    stop_in(folder, "train_epoch", 9)
    execute(folder, num_threads=1)
    assert Run(folder).state == "finished"
    assert_same_run(folder, straight(**settings).folder)
    execute(folder, num_threads=1)  # carrying out a finished run once more changes nothing
    assert_same_run(folder, straight(**settings).folder)


def test_stopping_in_the_teachers_fine_tuning_changes_nothing(tiny, tmp_path):
    """The teacher is shared by many runs: one that differs after a break would differ in all of them."""
    settings = dict(strategy="soft", epochs=1, teacher_epochs=3)
    whole = tiny.run("whole", runs_dir=tmp_path / "one", **settings)
    folder = tiny.create("broken", runs_dir=tmp_path / "two", **settings)
    stop_in(folder, "_finetune", 3)  # in its first epoch
    stop_in(folder, "_finetune", 8)  # in its second
    stop_in(folder, "_finetune", 8)  # in its third
    execute(folder, num_threads=1)
    teachers = [
        runs / "teachers" / whole.config["teacher_fingerprint"] / "model.safetensors"
        for runs in (tmp_path / "one", tmp_path / "two")
    ]
    assert teachers[0].read_bytes() == teachers[1].read_bytes()
    assert_same_run(whole.folder, folder)
    left = [
        path.name
        for path in (tmp_path / "two" / "teachers").iterdir()
        if path.name.endswith((".partial", ".whole"))
    ]
    assert not left, "what the breaks left is cleared away"


def test_a_break_in_the_teachers_last_epoch_costs_that_epoch_alone(tiny, tmp_path, monkeypatch):
    """With a large teacher an epoch is hours; there is no checkpoint after the last one, because then the
    teacher itself is written.
    """
    folder = tiny.create("broken", runs_dir=tmp_path, strategy="soft", epochs=1, teacher_epochs=3)
    stop_in(folder, "_finetune", 14)  # 5 steps an epoch
    steps, one_step = [], kdviz.training.epoch.optimizer_step
    monkeypatch.setattr(
        kdviz.training.epoch,
        "optimizer_step",
        lambda *args, **more: (steps.append(1), one_step(*args, **more)),
    )
    execute(folder, num_threads=1)
    assert len(steps) == 5 + 5, "the student's epoch takes as many"
    assert [line["step"] for line in Run(folder).lines("teacher")] == list(range(1, 16))


def test_what_a_kill_left_half_written_is_cleared(tiny, straight):
    """A checkpoint is a folder with a name of its own until it is whole: one that cannot be cleared would end
    every resume.
    """
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create(**settings)
    stop_in(folder, "train_epoch", 8)
    (folder / "checkpoints" / ".resume_0002.tmp").mkdir()
    (folder / "checkpoints" / ".resume_0002.tmp" / "model.safetensors").write_bytes(b"half")
    (folder / "student" / ".model.tmp").write_bytes(b"half")
    (folder / ".status.json.1.tmp").write_bytes(b"{")
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)
    assert not list(folder.rglob(".*.tmp"))


def test_stopping_while_outputs_are_computed_changes_nothing(tiny, straight):
    """Half a cache must not become a whole one."""
    settings = dict(strategy="all", epochs=1, train_size=30)
    folder = tiny.create(**settings)
    stop_in(folder, "_compute", 1)
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)


def test_a_teacher_that_is_gone_is_made_again_without_touching_finished_epochs(tiny, tmp_path, straight):
    """Somebody clears the teachers to free disk: the epochs that were shown must stay."""
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create("kept", runs_dir=tmp_path, **settings)
    stop_in(folder, "train_epoch", 13)
    shutil.rmtree(tmp_path / "teachers")
    execute(folder, num_threads=1)
    run = Run(folder)
    assert [line["epoch"] for line in run.evals] == [0, 1, 2, 3, 4]
    reference = straight(**settings)
    assert [line["mismatch"] for line in run.evals] == [line["mismatch"] for line in reference.evals]


def test_a_torn_last_line_is_mended_when_a_run_resumes(tiny, straight):
    """A kill in the middle of a write leaves half a line; glued to the next one, both would be lost."""
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create(**settings)
    stop_in(folder, "train_epoch", 8)
    with open(folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind": "train", "step": 9, "ep')
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)


@pytest.mark.parametrize("lost", ["student", "predictions.jsonl", "summary.json", "line"])
def test_a_checkpointed_epoch_is_published_when_the_run_resumes(tiny, straight, lost):
    """A kill between the checkpoint and what is shown of it: the epoch is finished, so it must appear."""
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create(**settings)
    stop_in(folder, "train_epoch", 8)
    if lost == "line":
        content = (folder / "metrics.jsonl").read_bytes()
        (folder / "metrics.jsonl").write_bytes(content[: content.rindex(b'{"kind": "eval"')])
    elif lost == "student":
        shutil.rmtree(folder / "student")
    else:
        (folder / lost).unlink()
    stop_in(folder, "train_epoch", 1)
    assert [line["epoch"] for line in Run(folder).evals] == [0, 1]
    assert (
        (folder / "student" / "model.safetensors").exists()
        and (folder / "predictions.jsonl").exists()
        and Run(folder).summary["epoch"] == 1
    )
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)


def test_a_kill_while_a_run_resumes_keeps_every_finished_epoch(tiny, monkeypatch):
    """Lines behind the checkpoint are cut on resuming: were the epoch's own line among them for a moment, a
    kill would lose it.
    """
    folder = tiny.create(strategy="all", epochs=4)
    stop_in(folder, "train_epoch", 13)
    assert [line["epoch"] for line in Run(folder).evals] == [0, 1, 2]
    monkeypatch.setattr(
        RunWriter, "predictions", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )  # nothing of ours catches it
    with pytest.raises(KeyboardInterrupt):
        execute(folder, num_threads=1)
    run = Run(folder)
    assert [line["epoch"] for line in run.evals] == [0, 1, 2] and run.state == "interrupted"
    assert run.train_lines[-1]["step"] == 10, "what came after the checkpoint is cut"


def test_two_runs_in_two_threads_equal_each_alone(tiny, straight):
    """Shared random state, recorders or modes would mix two viewers' runs in one process."""
    both = [dict(strategy="all", epochs=4), SID]
    expected = [straight(**settings) for settings in both]
    folders, errors = [tiny.create(**settings) for settings in both], []

    def work(folder: Path) -> None:
        try:
            execute(folder, num_threads=1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for folder, run in zip(folders, expected):
        assert_same_run(folder, run.folder)


def test_data_or_weights_that_changed_since_the_run_was_made_are_refused(tiny, tmp_path):
    """A queued run would otherwise train on other rows than its fingerprint says, or keep a teacher under a
    wrong name.
    """
    glue = Path(shutil.copytree(tiny.glue / "CoLA", tmp_path / "glue" / "CoLA")).parent
    checkpoint = Path(shutil.copytree(tiny.checkpoint, tmp_path / "checkpoint"))
    folder = tiny.create(runs_dir=tmp_path / "runs", data_dir=str(glue), teacher=str(checkpoint))
    train = glue / "CoLA" / "train.tsv"
    content = train.read_text()
    train.write_text(content + "own\t1\t\tA new row.\n")
    with pytest.raises(RequestError, match="the examples changed"):
        execute(folder, num_threads=1)
    train.write_text(content)
    weights = load_file(checkpoint / "model.safetensors")
    save_file(
        {name: tensor + 0.001 for name, tensor in weights.items()},
        checkpoint / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(RequestError, match="the weights in .* changed"):
        execute(folder, num_threads=1)
    assert not list((tmp_path / "runs").glob("teachers/*/model.safetensors"))


def test_a_loss_that_is_no_number_ends_the_run_with_one_line(tiny, monkeypatch):
    """Training on after NaN writes hours of holes; the epochs before it must stay usable."""
    original, calls = losses.soft_label_loss, []

    def breaks(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs) * (float("nan") if len(calls) > 7 else 1.0)

    monkeypatch.setattr(losses, "soft_label_loss", breaks)
    folder = tiny.create(strategy="soft", epochs=3)
    with pytest.raises(RunFailed, match="the loss became nan at step .* lower learning_rate"):
        execute(folder, num_threads=1)
    run = Run(folder)
    assert (
        run.state == "failed"
        and "\n" not in run.status["error"]
        and [line["epoch"] for line in run.evals] == [0, 1]
    )
    assert (folder / "student" / "model.safetensors").exists()


CHANGES = {
    "cut": lambda content: content[:400],
    "empty": lambda content: b"",
    "gone": None,
    "doubled": lambda content: b"".join(line + line for line in content.splitlines(keepends=True)),
    "other line ends": lambda content: content.replace(b"\n", b"\r\n"),
    "edited": lambda content: content.replace(b'"epoch": 1', b'"epoch": 7'),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_run_whose_numbers_were_changed_goes_on_only_when_they_are_back(tiny, straight, change):
    """A checkpoint builds on the lines it was written beside: going on cut the file to their length in bytes,
    in the middle of whatever line that was, and the epochs that were lost were missing without a word.
    """
    folder = tiny.create(**SID)
    stop_in(folder, "train_epoch", 8)
    path = folder / "metrics.jsonl"
    before = path.read_bytes()
    path.write_bytes(change(before)) if change else path.unlink()
    changed = path.read_bytes() if change else None
    with pytest.raises(RequestError, match=r"metrics\.jsonl is not the one that its checkpoint"):
        execute(folder, num_threads=1)
    assert (path.read_bytes() if change else None) == changed
    path.write_bytes(before)
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**SID).folder)


def test_a_run_without_its_checkpoint_is_not_begun_anew(tiny):
    """Who removed checkpoints/ to save space lost every epoch with the next Resume."""
    folder = tiny.create(**SID)
    stop_in(folder, "train_epoch", 8)
    before = (folder / "metrics.jsonl").read_bytes()
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(RequestError, match="2 evaluations and no checkpoint to go on from"):
        execute(folder, num_threads=1)
    assert (folder / "metrics.jsonl").read_bytes() == before and len(Run(folder).evals) == 2


def test_other_folders_beside_the_checkpoints_are_left_alone(tiny, straight):
    """A copy of a checkpoint with another name was taken for the newest one."""
    folder = tiny.create(**SID)
    stop_in(folder, "train_epoch", 8)
    newest = max((folder / "checkpoints").glob("resume_*"))
    shutil.copytree(newest, newest.with_name("resume_copy"))
    (newest.with_name("resume_copy") / "state.json").write_text("{}")
    newest.with_name("resume_9999").mkdir()
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**SID).folder)
    assert (folder / "checkpoints" / "resume_copy").is_dir()
