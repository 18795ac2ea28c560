"""A run's request is resolved once: what the preview says is what creation writes and training does."""

import json
import os
import shutil
from pathlib import Path

import pytest
from checkpoint_folders import change_weights

from kdviz.data import load_examples
from kdviz.errors import RequestError
from kdviz.jobs.create import create_run
from kdviz.jobs.plan import plan
from kdviz.training.request import recorded_request, resolve_request


def test_a_kept_teacher_is_recognised_before_start(tiny, tmp_path):
    """Two computations of its name once gave two: every preview promised the teacher's fine-tuning again."""
    before = resolve_request(tiny.config())
    assert before.kept_teacher(tmp_path) is None
    run = tiny.run("first", runs_dir=tmp_path, epochs=1)
    for changed in ({}, {"strategy": "soft"}, {"epochs": 7, "seed": 3}):
        found = resolve_request(tiny.config(**changed)).kept_teacher(tmp_path)
        assert found == tmp_path / "teachers" / run.config["teacher_fingerprint"], changed
    for changed in ({"teacher_epochs": 1}, {"max_length": 24}, {"train_size": 30}, {"data_seed": 1}):
        assert resolve_request(tiny.config(**changed)).kept_teacher(tmp_path) is None, changed


@pytest.mark.parametrize(
    "name",
    ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"],
)
def test_every_file_that_changes_the_teacher_changes_its_name(tiny, tmp_path, name):
    """A tokenizer file that does not count would give one run the teacher of another vocabulary."""
    copy = shutil.copytree(tiny.checkpoint, tmp_path / "copy")
    known = resolve_request(tiny.config(teacher=str(copy))).teacher_fingerprint
    with open(copy / name, "a") as file:
        file.write("\n")
    assert resolve_request(tiny.config(teacher=str(copy))).teacher_fingerprint != known


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("model.safetensors", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("config.json", lambda content: content.replace(b'range": 0.0', b'range": 0.1')),
    ],
)
def test_a_change_is_seen_though_the_files_time_is_put_back(tiny, tmp_path, name, change):
    """`cp -p`, tar and rsync put it back: the teacher's name would speak for other weights."""
    path = Path(shutil.copytree(tiny.checkpoint, tmp_path / "copy")) / name
    known = resolve_request(tiny.config(teacher=str(path.parent))).teacher_fingerprint
    content, then = path.read_bytes(), path.stat()
    assert content != change(content) and len(content) == len(change(content))
    path.write_bytes(change(content))
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert resolve_request(tiny.config(teacher=str(path.parent))).teacher_fingerprint != known


def test_the_arithmetic_is_part_of_the_teachers_name(tiny):
    """A bfloat16 run and a float32 run would share whichever teacher came first."""
    names = {
        resolve_request(tiny.config(dtype_choice=choice)).teacher_fingerprint
        for choice in ("float32", "bfloat16")
    }
    assert len(names) == 2
    automatic = resolve_request(tiny.config(dtype_choice="auto"))
    asked = resolve_request(tiny.config(dtype_choice=automatic.arithmetic.dtype))
    assert automatic.teacher_fingerprint == asked.teacher_fingerprint, "auto is what it chose"


def test_what_was_resolved_is_what_is_created_planned_and_trained(tiny, tmp_path, monkeypatch):
    """Each place that resolved a request by itself could resolve it to something else."""
    request = resolve_request(tiny.config(strategy="sid", epochs=3))
    folder = create_run(request, tmp_path, "one")
    record = json.loads((folder / "config.json").read_text())
    assert json.loads(json.dumps(request.record())).items() <= record.items()
    assert json.loads((folder / "status.json").read_text())["total_steps"] == request.total_steps
    planned = plan(request, with_seconds=False)
    assert [stage.to_dict() for stage in planned.stages] == record["stages"]
    again = recorded_request(record)
    assert again.train == request.train and again.evaluations == request.evaluations
    assert (again.pairs, again.stages, again.arithmetic) == (
        request.pairs,
        request.stages,
        request.arithmetic,
    )
    assert again.teacher_fingerprint == request.teacher_fingerprint
    elsewhere = recorded_request({**record, "teacher_fingerprint": "0" * 16, "dtype": "bfloat16"})
    assert elsewhere.teacher_fingerprint == "0" * 16 and elsewhere.arithmetic.dtype == "bfloat16", (
        "what a run settled when it was made holds when it is resumed with a later version"
    )


@pytest.mark.parametrize("field", ["teacher", "student_checkpoint"])
def test_a_changed_checkpoint_is_refused_for_an_existing_run(tiny, tmp_path, field):
    """A student's own checkpoint was looked at by nobody: weights of nought and another activation went on
    as the same run.
    """
    whose = field.removesuffix("_checkpoint")
    copy = Path(shutil.copytree(tiny.checkpoint, tmp_path / "copy"))
    record = resolve_request(tiny.config(**{field: str(copy)})).record()
    recorded_request(record)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    with pytest.raises(RequestError, match="config.json in .* changed .*; put back") as caught:
        recorded_request(record)
    assert caught.value.field == field
    change_weights(copy, lambda tensors: {name: tensor * 0 for name, tensor in tensors.items()})
    with pytest.raises(RequestError, match="the weights in .* changed") as caught:
        recorded_request(record)
    assert caught.value.field == field
    if field == "student_checkpoint":  # runs of former versions kept no sums of it
        recorded_request(
            {key: value for key, value in record.items() if not key.startswith("student_")}
            | {"student_layers": 2, "student_checkpoint": str(copy)}
        )
    assert set(record) >= {f"{whose}_weights_sha256", f"{whose}_files_sha256"}


def test_a_run_finds_its_examples_where_they_are_now(tiny, tmp_path, monkeypatch):
    """A folder that moved ended every run that was made from it, whatever the user said of its new place."""
    glue = shutil.copytree(tiny.glue / "CoLA", tmp_path / "glue" / "CoLA").parent
    request = resolve_request(tiny.config(data_dir=str(glue)))
    record, moved = request.record(), tmp_path / "moved"
    glue.rename(moved)
    with pytest.raises(RequestError, match="set KDVIZ_GLUE_DIR to the folder that holds them now") as caught:
        recorded_request(record)
    assert caught.value.field == "data_dir" and str(glue) in str(caught.value)
    assert recorded_request({**record, "data_dir": str(moved)}).train == request.train
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(moved))
    assert recorded_request(record).train == request.train
    path = moved / "CoLA" / "train.tsv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(RequestError, match="examples changed"):
        recorded_request(record)


@pytest.mark.parametrize("field", ["teacher", "student_checkpoint"])
def test_a_run_says_where_to_write_that_its_checkpoint_moved(tiny, tmp_path, field):
    """A run from another machine listed the registry's names, and not that a path in its config.json is all
    that is missing.
    """
    copy = Path(shutil.copytree(tiny.checkpoint, tmp_path / "copy"))
    record, moved = resolve_request(tiny.config(**{field: str(copy)})).record(), tmp_path / "moved"
    copy.rename(moved)
    with pytest.raises(RequestError, match=f"holds it now as {field} into the run's config.json") as caught:
        recorded_request(record)
    assert caught.value.field == field and str(copy) in str(caught.value)
    assert recorded_request({**record, field: str(moved)}).pairs


def test_sample_data_are_the_same_whatever_the_seed(tiny):
    """A study of several data_seeds compared rows of other examples, and left out all but the first. A run of
    an older version has those that it was made with.
    """
    sample = dict(source="sample", data_dir=None)
    first, second = (resolve_request(tiny.config(data_seed=seed, **sample)) for seed in (0, 1))
    assert first.data.fingerprint == second.data.fingerprint and first.train != second.train
    then = load_examples("cola", "sample", seed=1)
    older = {**second.record(), "data": then.record()}
    assert recorded_request(older).data.train == then.train != first.data.train


def test_an_older_run_may_start_from_the_teacher_and_name_a_checkpoint(tiny):
    """It is refused today, because the checkpoint has no effect; what was begun can be ended."""
    record = resolve_request(tiny.config(init="teacher")).record()
    assert recorded_request({**record, "student_checkpoint": str(tiny.checkpoint)}).config.init == "teacher"


def test_changed_weights_or_data_are_refused_for_an_existing_run(tiny, tmp_path):
    """A run resumed on other examples would have two halves that belong to different questions."""
    glue = shutil.copytree(tiny.glue / "CoLA", tmp_path / "glue" / "CoLA").parent
    record = resolve_request(tiny.config(data_dir=str(glue))).record()
    recorded_request(record)
    with pytest.raises(RequestError, match="weights .* changed") as caught:
        recorded_request({**record, "teacher_weights_sha256": "0" * 64})
    assert caught.value.field == "teacher"
    lines = (glue / "CoLA" / "train.tsv").read_text().splitlines(keepends=True)
    (glue / "CoLA" / "train.tsv").write_text("".join(lines[:-1]))
    with pytest.raises(RequestError, match="examples changed") as caught:
        recorded_request(record)
    assert caught.value.field == "data_dir"
