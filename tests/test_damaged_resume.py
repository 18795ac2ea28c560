"""Something of a stopped run was damaged or changed before it goes on: it ends as an unbroken one would, or
says in one line why it does not.
"""

import json
import shutil
from pathlib import Path

import pytest
from stopped import SID, assert_same_run, stop_in

from kdviz.errors import RequestError, RunFailed
from kdviz.jobs.execute import execute
from kdviz.runs.reader import Run


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", b"{}"),
        ("state.json", b"null"),
        ("state.json", b'{"epoch": 1, '),
        ("optimizer.safetensors", b"short"),
        ("model.safetensors", b""),
        ("state.json", lambda content: content.replace(b'"step": 5', b'"step": 4')),
        ("optimizer.safetensors", lambda content: one_bit_lost(content)),
        ("model.safetensors", lambda content: one_bit_lost(content)),
    ],
)
def test_a_damaged_checkpoint_is_called_so(tiny, name, content):
    """It was an "unexpected KeyError", or with a bit lost by the disk another student without a word; and
    nothing that was recorded may go with it.
    """
    folder = tiny.create(**SID)
    stop_in(folder, "train_epoch", 8)
    before = (folder / "metrics.jsonl").read_bytes()
    path = max((folder / "checkpoints").glob("resume_*")) / name
    path.write_bytes(content(path.read_bytes()) if callable(content) else content)
    with pytest.raises(RunFailed, match=r"the checkpoint \S+resume_0001 is damaged"):
        execute(folder, num_threads=1)
    assert (folder / "metrics.jsonl").read_bytes() == before


def one_bit_lost(content: bytes) -> bytes:
    """The same length and a readable head, one bit of the rest turned."""
    place = len(content) * 2 // 3
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


LEFT_BEHIND = {
    "evaluation gone": ("evaluations/epoch_0001.safetensors", None),
    "evaluation cut": ("evaluations/epoch_0001.safetensors", lambda content: content[:400]),
    "evaluation with a bit lost": ("evaluations/epoch_0001.safetensors", one_bit_lost),
    "probes gone": ("probes.json", None),
    "probes empty": ("probes.json", lambda content: b""),
    "no probes": ("probes.json", lambda content: b"[]"),
    "the teacher's maps gone": ("snapshots/teacher.safetensors", None),
    "the teacher's maps cut": ("snapshots/teacher.safetensors", lambda content: content[:70]),
    "half a tokenizer": ("student/tokenizer.json", lambda content: content[: len(content) // 2]),
    "half its settings": ("student/tokenizer_config.json", lambda content: content[:20]),
    "no special tokens": ("student/special_tokens_map.json", lambda content: b""),
}


@pytest.mark.parametrize(("name", "change"), LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_what_a_run_can_make_again_is_made_again(tiny, straight, name, change):
    """A kill while a tokenizer was copied left half a file, which ended every later resume with an
    "unexpected JSONDecodeError" after hours of training; a run without its presets went on, and had none at
    its end.
    """
    folder = tiny.create(**SID)
    stop_in(folder, "train_epoch", 8)
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(change(content)) if change else path.unlink()
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**SID).folder)
    assert not name.startswith("student") or path.read_bytes() == content


def test_a_run_goes_on_with_its_settings_or_not_at_all(tiny, straight):
    """Who wrote another number of epochs into config.json got a student of two schedules, called one."""
    folder = tiny.create(**SID)
    stop_in(folder, "train_epoch", 8)
    before = (folder / "config.json").read_text()
    changed = before.replace('"learning_rate": 0.002', '"learning_rate": 0.02')
    (folder / "config.json").write_text(changed.replace('"cache_memory_mb": 1024', '"cache_memory_mb": 512'))
    with pytest.raises(RequestError, match=r"config\.json says learning_rate: 0\.02.* with 0\.002 so far;"):
        execute(folder, num_threads=1)
    assert [line["epoch"] for line in Run(folder).evals] == [0, 1]
    (folder / "config.json").write_text(before.replace('"cache_memory_mb": 1024', '"cache_memory_mb": 512'))
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**SID).folder)


@pytest.mark.parametrize(
    "change",
    [
        ('"teacher_epochs": 2', '"teacher_epochs": 1'),
        ('"train_size": 36', '"train_size": 30'),
        ('"dtype": "float32"', '"dtype": "bfloat16"'),
        ('"student_layers": 2', '"student_layers": 3'),
        ('"data_seed": 0', '"data_seed": 1'),
    ],
)
def test_a_run_that_has_not_begun_has_the_settings_it_was_made_with(tiny, tmp_path, change):
    """A weaker teacher was kept under the name of the one asked for, and every later run learned from it."""
    folder = tiny.create(runs_dir=tmp_path, **SID)
    made = (folder / "config.json").read_text()
    assert made.count(change[0]) == 1
    (folder / "config.json").write_text(made.replace(*change))
    with pytest.raises(RequestError, match=r"in (its|this run's) config\.json (changed|are not those)"):
        execute(folder, num_threads=1)
    assert not list(tmp_path.glob("teachers/*/model.safetensors")) and not Run(folder).evals
    (folder / "config.json").write_text(made.replace('"cache": "auto"', '"cache": "off"'))
    stop_in(folder, "train_epoch", 1)


@pytest.mark.parametrize("change", [{"student_layers": 3}, {"matching": "first"}, {"epochs_per_layer": 2}])
def test_an_older_run_goes_on_and_its_layers_and_stages_are_those_recorded(tiny, change):
    """It has no sum of its settings; of other layers than its config.json names no evaluation can be read."""
    folder = tiny.create(strategy="sid", epochs=5)
    older = json.loads((folder / "config.json").read_text())
    older.pop("settled_sha256")
    older["stages"] = [{**stage, "name": "as it was called then"} for stage in older["stages"]]
    (folder / "config.json").write_text(json.dumps({**older, "teacher_fingerprint": "0" * 16} | change))
    with pytest.raises(RequestError, match="layers and stages in this run's config"):
        execute(folder, num_threads=1)
    (folder / "config.json").write_text(json.dumps(older))
    stop_in(folder, "train_epoch", 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format_version": 1, "task": "cola"'])
def test_a_run_whose_settings_cannot_be_read_says_so(tiny, content):
    """It was an "unexpected AttributeError"."""
    folder = tiny.create(**SID)
    (folder / "config.json").write_bytes(content)
    with pytest.raises(RequestError, match=r"cannot be carried out: its config\.json cannot be used"):
        execute(folder, num_threads=1)


def test_a_tokenizer_that_changed_since_the_run_was_made_is_refused(tiny, tmp_path):
    """The second half of the run was trained on other words than the first."""
    checkpoint = Path(shutil.copytree(tiny.checkpoint, tmp_path / "checkpoint"))
    folder = tiny.create(runs_dir=tmp_path / "runs", teacher=str(checkpoint), **SID)
    stop_in(folder, "train_epoch", 8)
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(RequestError, match=r"teacher: tokenizer\.json in \S+ changed since"):
        execute(folder, num_threads=1)


def test_a_kept_teacher_with_a_bit_lost_is_not_used(tiny, tmp_path):
    """Every later run of it would learn from another teacher than its name says."""
    folder = tiny.create(runs_dir=tmp_path, **SID)
    stop_in(folder, "evaluate", 1)
    kept = tmp_path / "teachers" / Run(folder).config["teacher_fingerprint"]
    (kept / "model.safetensors").write_bytes(one_bit_lost((kept / "model.safetensors").read_bytes()))
    with pytest.raises(RunFailed, match="kept teacher in .* is damaged .* remove that folder and resume"):
        execute(folder, num_threads=1)
    shutil.rmtree(kept)
    execute(folder, num_threads=1)


@pytest.mark.parametrize("change", [lambda content: content[:70], one_bit_lost], ids=["cut", "a bit lost"])
def test_a_damaged_checkpoint_of_the_teacher_costs_its_epochs_alone(tiny, tmp_path, change):
    """From the beginning it becomes the same teacher: nobody need look for a hidden folder to remove."""
    settings = dict(strategy="soft", epochs=1, teacher_epochs=3)
    whole = tiny.run("whole", runs_dir=tmp_path / "one", **settings)
    folder = tiny.create("broken", runs_dir=tmp_path / "two", **settings)
    stop_in(folder, "_finetune", 8)
    [path] = (tmp_path / "two" / "teachers").glob(".*.partial/resume_*/optimizer.safetensors")
    path.write_bytes(change(path.read_bytes()))
    execute(folder, num_threads=1)
    assert_same_run(whole.folder, folder)
    assert [line["step"] for line in Run(folder).lines("teacher")] == list(range(1, 16))


def test_kept_words_with_a_bit_lost_are_encoded_again(tiny, tmp_path, straight):
    """Another word here and there is another run, and nobody would know."""
    folder = tiny.create(runs_dir=tmp_path, **SID)
    stop_in(folder, "train_epoch", 8)
    for path in (tmp_path / "teachers" / ".encoded").iterdir():
        path.write_bytes(one_bit_lost(path.read_bytes()))
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**SID).folder)
