"""A server that may only show, over a runs folder that others write."""

import json
from pathlib import Path

import pytest
from folders import make_run, make_runs
from streamlit.testing.v1 import AppTest

from kdviz.pages import PAGES
from kdviz.ui.frame import store as ui_store

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs as a training process leaves them while it goes on, or was killed: one waits, one was left without
    anybody holding its lock.
    """
    folder = tmp_path_factory.mktemp("shown") / "runs"
    make_runs(folder)
    for name, state in (("cola-waiting", "queued"), ("cola-left", "running")):
        make_run(folder, name, strategy="all", created="2026-01-03T00:00:00Z")
        path = folder / name / "status.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": state, "finished": None}))
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_showing_writes_nothing(page: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several servers look at one runs folder, mounted read-only or not: one that settles the state of a run
    it does not train, or leaves a file of its own, works against the one that trains.
    """
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(runs))
    monkeypatch.setenv("KDVIZ_READ_ONLY", "1")
    monkeypatch.setattr(ui_store, "DEMO_RUNS", runs.parent / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: False)
    before = _seen(runs)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert _seen(runs) == before


def _seen(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
