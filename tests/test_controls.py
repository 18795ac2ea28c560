"""Controls say what the session says, also to a browser that hears only of a later run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distil_page import open_page as open_distil
from folders import make_run
from streamlit.testing.v1 import AppTest

from kdviz.jobs.lazy_imports import import_heavy

ROOT = Path(__file__).parents[1]
KINDS = (
    "selectbox",
    "radio",
    "multiselect",
    "button_group",
    "select_slider",
    "slider",
    "toggle",
    "number_input",
    "text_input",
)


def shown_and_default(app: AppTest) -> Iterator[tuple[str, object, object]]:
    """Of each control: its name, what the session holds, and the default that a browser draws untold."""
    for kind in KINDS:
        for control in app.get(kind):
            proto = control.proto
            name = f"{kind} {proto.label or proto.id}"
            if kind in ("selectbox", "radio"):
                yield name, control.index, proto.default if proto.HasField("default") else None
            elif kind in ("multiselect", "button_group"):
                yield name, sorted(control.indices), sorted(proto.default)
            elif kind == "select_slider":
                shown = [list(proto.options).index(control.format_func(control.value))]
                yield name, shown, [int(place) for place in proto.default]
            elif kind == "slider":
                yield name, [control.value], list(proto.default)
            elif kind == "number_input":
                yield name, control.value, proto.default if proto.HasField("default") else None
            else:
                yield name, control.value, proto.default


def check(app: AppTest) -> int:
    """Streamlit tells the browser once of a value that the script has set. One that was busy and drew the run
    after showed another run, its first moment and no comparison, and made of it the visitor's choice.
    """
    assert not app.exception
    found = list(shown_and_default(app))
    assert [(name, shown) for name, shown, _ in found] == [(name, default) for name, _, default in found]
    return len(found)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What Distil's page would import in a thread, still at it when the next file begins."""
    import_heavy()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    for number, name in enumerate(("first", "second", "third")):
        make_run(tmp_path / "runs", name, num_eval=6, epochs=2, seed=number)
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


VIEWS = (
    ("start", {"run": "second"}),
    ("attention", {"run": "second", "show": "bertviz", "threshold": "0.2", "special": "0"}),
    ("attention", {"run": "second", "probe": "own", "with": "first"}),
    ("layers", {"run": "second", "show": "curves", "with": "third", "over": "presets"}),
    ("layers", {"run": "second", "show": "heads", "cell": "distance"}),
    ("layers", {"run": "second", "show": "cka"}),
    ("answers", {"run": "second", "show": "scores", "with": "first,third"}),
    ("answers", {"run": "second", "show": "inside", "with": "third", "over": "presets"}),
    ("answers", {"run": "second", "show": "mistakes", "with": "first", "row": "3"}),
    ("studies", {"study": "depth-minutes"}),
)


@pytest.mark.parametrize(("page", "params"), VIEWS, ids=lambda value: str(value))
def test_what_a_link_sets_is_each_controls_default(app: AppTest, page: str, params: dict):
    """A control that opens on something else than its link undoes the link with the first click beside it."""
    for key, value in params.items():
        app.query_params[key] = value
    assert check(app.switch_page(f"pages/{page}.py").run()) > 0


def test_what_was_chosen_is_the_default_from_then_on(app: AppTest):
    """A control drawn anew with its old default jumps back under the hand."""
    app.query_params["show"] = "scores"
    app.switch_page("pages/answers.py").run()
    [slider] = app.select_slider
    slider.set_value(0).run()
    app.multiselect[0].set_value(app.multiselect[0].value[:1]).run()
    assert check(app) > 2


def test_the_form_as_it_was_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The form after a reload, or one filled from a run, is all set by the script."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    app = open_distil(
        more=True,
        task="mrpc",
        strategy="sid",
        student_layers=2,
        epochs=7,
        train_size=None,
        terms=["kl"],
        active_pairs=[1],
        matching="custom",
        custom_layers=[0, 3],
        hard_labels=True,
        hard_weight=0.3,
        learning_rate=2e-4,
        teacher="somewhere/else",
        data_dir="/nowhere",
        init="random",
        keep_checkpoints=False,
    )
    assert check(app) > 30


@pytest.mark.parametrize("page", ["start", "attention", "distil"])
@pytest.mark.usefixtures("app")
def test_a_narrow_window_moves_nothing(monkeypatch: pytest.MonkeyPatch, page: str):
    """A phone says how wide it is once the page stands. What then stood in another place was drawn anew, with
    all that had been opened, scrolled and typed in it lost.
    """
    places = []
    for narrow in (False, True):
        monkeypatch.setattr("kdviz.ui.frame.shell.is_narrow", lambda narrow=narrow: narrow)
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        places.append({place: block.type for place, block in app.main.children.items()})
    assert places[0] == places[1]
