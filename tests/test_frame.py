"""The frame around the pages: what a reload keeps, what an address means, what is one click away."""

from pathlib import Path

import pytest
from folders import make_run
from hostile import put
from opened import edit_config
from streamlit.testing.v1 import AppTest

from kdviz.jobs.permissions import owner_of
from kdviz.ui.frame import store as ui_store
from kdviz.ui.frame.shell import unknown_page

ROOT = Path(__file__).parents[1]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    return tmp_path / "runs"


def start() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()


def open_page(name: str, app: AppTest | None = None, **params: str) -> AppTest:
    app = app or start()
    for key, value in params.items():
        app.query_params[key] = value
    return app.switch_page(f"pages/{name}.py").run()


def said(app: AppTest) -> str:
    return "\n".join(str(each.value) for each in (*app.info, *app.warning, *app.markdown, *app.caption))


@pytest.mark.parametrize(
    ("url", "base", "asked"),
    [
        ("http://host:8501/", "", ""),
        ("http://host:8501/answers?run=x", "", ""),
        ("http://host:8501/answer", "", "answer"),
        ("http://host:8501/Attention", "", "Attention"),
        ("http://host/lab/kdviz/", "lab/kdviz", ""),
        ("http://host/lab/kdviz", "lab/kdviz", ""),
        ("http://host/lab/kdviz/layers/", "/lab/kdviz/", ""),
        ("http://host/lab/kdviz/nowhere", "lab/kdviz", "nowhere"),
        ("http://host/%3Cb%3E", "", "<b>"),
        ("", "", ""),
    ],
)
def test_an_address_that_is_no_page_is_told_apart(url: str, base: str, asked: str):
    """A mistyped page showed the first one without a word, so a lecturer's link seemed to be wrong itself."""
    assert unknown_page(url, base) == asked


def test_a_reload_keeps_the_form(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """Five minutes of settings were gone at a reload. Another browser has its own."""
    monkeypatch.setattr("kdviz.ui.frame.identity._token", lambda cookie: b"0123456789abcdef")
    app = open_page("distil")
    app.selectbox(key="distil.task").set_value("rte")
    app.number_input(key="distil.epochs").set_value(7).run()
    app.run()
    again = open_page("distil")
    assert again.selectbox(key="distil.task").value == "rte"
    assert again.number_input(key="distil.epochs").value == 7
    monkeypatch.setattr("kdviz.ui.frame.identity._token", lambda cookie: b"another browser!")
    assert open_page("distil").selectbox(key="distil.task").value != "rte"


def test_the_missing_partner_is_one_click_away(runs: Path):
    """A headline of one run says nothing; what it needs is a run that differs in the strategy alone."""
    make_run(runs, "alone", strategy="sid", student_layers=2, epochs=3, seed=4)
    app = open_page("answers", run="alone", show="inside")
    assert "needs a run by soft labels (`soft`)" in said(app)
    app.button(key="kdviz.partner").click().run()
    assert not app.exception
    assert app.segmented_control(key="distil.strategy.1").value == "soft"
    assert app.session_state["distil.seed.1"] == 4
    assert app.number_input(key="distil.student_layers.1").value == 2
    assert app.number_input(key="distil.epochs.1").value == 3
    make_run(runs, "partner", strategy="soft", student_layers=2, epochs=3, seed=4)
    assert "needs a run by" not in said(open_page("answers", run="alone", show="inside"))


def test_heads_that_never_moved_say_why(runs: Path):
    """Above an empty chart, "0 of 12 heads elsewhere" reads like a fault."""
    make_run(runs, "copied", closeness=1.0, num_heads=1)
    app = open_page("layers", run="copied", show="partners")
    assert not app.exception and "began in its place" in said(app)
    edit_config(runs / "copied", student_checkpoint="/models/another")
    app = open_page("layers", run="copied", show="partners")
    assert not app.exception and "teacher's own layers" not in said(app), "it began with another's"


def test_deleting_is_never_the_primary_button(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """The one button that cannot be undone looked like the one to press."""
    monkeypatch.setattr("kdviz.ui.frame.identity._token", lambda cookie: b"0123456789abcdef")
    put("config.json", owner=owner_of(b"0123456789abcdef"))(make_run(runs, "mine"))
    app = open_page("distil")
    delete = app.button(key="distil.delete.mine")
    assert delete.proto.type != "primary"
    assert app.button(key="distil.start").proto.type == "primary"


@pytest.mark.parametrize("page", ["start", "distil", "attention", "layers", "answers"])
def test_no_page_shows_a_folder_of_the_server(page: str, runs: Path):
    """Viewers need no user names of the machine that shows the runs."""
    make_run(runs, "mine")
    app = open_page(page)
    assert str(runs) not in said(app) and str(runs.parent) not in said(app)
