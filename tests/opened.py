"""Pages opened in a test without a browser, over a runs folder of its own."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kdviz.ui.frame import store as ui_store

ROOT = Path(__file__).parents[1]


def use_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs folder of the pages, and no stored demo."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    return tmp_path / "runs"


def open_page(name: str, **params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for key, value in params.items():
        app.query_params[key] = value
    return app.switch_page(f"pages/{name}.py").run()


def texts(app: AppTest) -> str:
    """Everything a page says in words."""
    elements = [*app.markdown, *app.info, *app.warning, *app.caption, *app.subheader, *app.error]
    return "\n".join(str(element.value) for element in elements)


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
