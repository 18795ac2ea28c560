"""The measured teachers: what is said before Start, and which task the page opens with."""

import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kdviz.config import RunConfig
from kdviz.models.registry import TEACHERS
from kdviz.tasks import TASKS
from kdviz.training.measured_teachers import MEASURED, forecast, recommended_task
from kdviz.ui.distil import before

ROOT = Path(__file__).parents[1]
DEFAULT_SIZE, DEFAULT_EPOCHS = RunConfig().train_size, RunConfig().teacher_epochs


def test_the_rows_are_whole():
    """Without it a mistyped row would advise every visitor wrongly."""
    for row in MEASURED:
        assert row.task in TASKS and row.teacher in TEACHERS and 0.5 <= row.majority < 1
        assert 0 < row.accuracy < 1 and row.n > 100
        margin = 2 * math.sqrt(row.majority * (1 - row.majority) / row.n)
        assert row.beats_majority == (row.accuracy >= row.majority + margin)


def test_a_setting_known_to_flop_is_named_with_its_number_and_a_way_out():
    """Without it a room would wait a minute for a teacher that answers worse than a constant."""
    config = RunConfig(task="cola")
    known = forecast(config, source="folder", num_train=2000)
    assert known.is_too_weak
    assert f"{known.row.accuracy:.1%}" in known.words and f"{known.row.majority:.1%}" in known.words
    assert "Choose" in known.words
    less = forecast(replace(config, teacher_epochs=1), source="hub", num_train=500)
    assert less.is_too_weak  # less training than what flopped
    assert forecast(replace(config, teacher_epochs=50), source="folder", num_train=8551) is None
    assert forecast(config, source="sample", num_train=2000) is None
    assert forecast(replace(config, teacher_epochs=0), source="folder", num_train=2000) is None
    assert forecast(replace(config, teacher_learning_rate=1e-6), source="folder", num_train=2000) is None
    assert forecast(replace(config, teacher="bert-base"), source="folder", num_train=2000) is None


def _followed(words: str, asked: RunConfig) -> Iterator[tuple[str, RunConfig]]:
    """Each way out that the words offer: the number they promise, and what the form says once it is taken."""
    titles = {task.title: name for name, task in TASKS.items()}
    patterns = {
        "train_size": (r"([\d,]+) examples", lambda text: int(text.replace(",", ""))),
        "teacher_epochs": (r"(\d+) teacher epoch", int),
        "teacher_learning_rate": (r"learning rate ([\d.e-]+)", float),
        "teacher": (r"teacher ([a-z][\w-]*-[\w-]+)", str),
        "task": (r"(?:^|or )([A-Z][\w-]*)", titles.__getitem__),
    }
    for way in words.partition("Choose ")[2].split(", or "):
        found = {name: (re.search(pattern, way), read) for name, (pattern, read) in patterns.items()}
        said = {name: read(match[1]) for name, (match, read) in found.items() if match}
        yield re.search(r"[\d.]+%", way)[0], replace(asked, **said)


SIZES = {"cola": 8551, "mrpc": 3668, "rte": 2490, "qqp": 363_846, "sst2": 67_349}


@pytest.mark.parametrize("rate", [RunConfig().teacher_learning_rate, 5e-5, 2e-4])
@pytest.mark.parametrize("size", [500, 1500, DEFAULT_SIZE, None])
@pytest.mark.parametrize("epochs", [1, 2, DEFAULT_EPOCHS, 4])
def test_whoever_follows_the_advice_gets_what_it_promises(epochs: int, size: int | None, rate: float):
    """Without it a visitor would choose what the page told her and be told another number, or none: the
    advice left out the learning rate that its number was measured with.
    """

    def known(config: RunConfig):
        whole = SIZES[config.task]
        return forecast(config, source="folder", num_train=min(config.train_size or whole, whole))

    advised = 0
    for task in SIZES:
        for teacher in TEACHERS:
            asked = RunConfig(
                task=task, teacher=teacher, teacher_epochs=epochs, train_size=size, teacher_learning_rate=rate
            )
            if not (first := known(asked)) or not first.is_too_weak:
                continue
            for promised, followed in _followed(first.words, asked):
                then = known(followed)
                assert then is not None and not then.is_too_weak, (first.words, followed)
                assert f"{then.row.accuracy:.1%}" == promised, (first.words, then.words)
                advised += 1
    assert advised or epochs > 3


def test_the_best_teacher_that_was_measured_of_a_task_is_named():
    """Without it RTE's room would be sent to a teacher hardly better than a constant answer, and never hear
    of the one that is.
    """
    words = forecast(RunConfig(task="rte"), source="folder", num_train=2000).words
    best = max(row.accuracy for row in MEASURED if row.task == "rte")
    assert f"{best:.1%}" in words


def test_a_number_is_said_with_the_learning_rate_it_was_measured_at():
    """Without it a number of another recipe would pass for that of the form's."""
    known = forecast(RunConfig(task="rte", teacher_epochs=4), source="folder", num_train=1000)
    assert known.row.learning_rate != RunConfig().teacher_learning_rate
    assert f"learning rate {known.row.learning_rate:g}" in known.words
    same = replace(known.asked, teacher_learning_rate=known.row.learning_rate)
    assert "learning rate" not in forecast(same, source="folder", num_train=1000).words


def test_the_recommended_task_beats_its_constant_answer_within_the_defaults():
    """Without it the default would flop again (item 19)."""
    task = recommended_task(TASKS, train_size=DEFAULT_SIZE, epochs=DEFAULT_EPOCHS)
    known = forecast(RunConfig(task=task), source="folder", num_train=DEFAULT_SIZE)
    assert known is not None and not known.is_too_weak
    assert known.row.accuracy - known.row.majority > 0.1
    assert recommended_task(["wnli"], train_size=DEFAULT_SIZE, epochs=DEFAULT_EPOCHS) is None


def _glue(folder: Path, task: str) -> None:
    """A GLUE folder with a few rows of our own of a pair task or CoLA."""
    place = folder / {"qqp": "QQP", "cola": "CoLA"}[task]
    place.mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv"):
        if task == "qqp":
            rows = ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"]
            rows += [f"{n}\t{n}\t{n}\tHow is day {n}?\tWhat is day {n} like?\t{n % 2}" for n in range(40)]
        else:
            rows = [f"own\t{n % 2}\t\tDay {n} is here." for n in range(40)]
        (place / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize("has_qqp", [True, False])
def test_the_page_opens_with_it_where_the_folder_has_it(
    has_qqp: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without it the page would open with CoLA on real data, whose teacher flops; the command line's own
    default stays what it was.
    """
    _glue(tmp_path / "glue", "cola")
    if has_qqp:
        _glue(tmp_path / "glue", "qqp")
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path / "glue"))
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: False)
    before._request.clear()  # it knows the settings, not the folder that the variable names
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app = app.switch_page("pages/distil.py").run()
    assert not app.exception
    assert app.selectbox(key="distil.task").value == ("qqp" if has_qqp else "cola")
    said = "\n".join(str(each.value) for each in app.caption)
    assert not app.error, [str(each.value) for each in app.error]
    assert "was measured at" in said or has_qqp  # 40 examples of QQP were not measured
    if not has_qqp:
        assert "too little to copy" in said
    assert RunConfig().task == "cola"
    shutil.rmtree(tmp_path / "glue")
