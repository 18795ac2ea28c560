"""The Distil page in a test, without a browser and without training."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kdviz.errors import Stopped
from kdviz.files import json_line, read_json, write_json
from kdviz.jobs.queue import Queue
from kdviz.locks import exclusive
from kdviz.runs.reader import Run
from kdviz.ui.frame import store as ui_store

ROOT = Path(__file__).parents[1]


class Trainer:
    """Stands in for `kdviz.jobs.execute.execute`: says it runs, writes what a teacher's first steps write,
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


def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    """A page over a runs folder of its own whose runs are carried out by a Trainer."""
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
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in {"source": "sample", **settings}.items():
        app.session_state[f"distil.{name}"] = value
    return app.switch_page("pages/distil.py").run()


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


def badges(app: AppTest) -> list[str]:
    return [element.value for element in app.markdown if "badge" in element.value]
