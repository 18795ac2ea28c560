"""The pages without a browser: each stands over whatever a folder or a link holds, and says what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from folders import make_run, make_runs
from opened import ROOT, edit_config, open_page, texts, use_runs
from packs import pictures
from streamlit.testing.v1 import AppTest

from kdviz.cli import main
from kdviz.ui.frame.take_home import QR_KEY

PAGES = ("start", "attention", "layers", "answers")


PARTS = (
    ("attention", "maps"),
    ("attention", "training"),
    ("attention", "bertviz"),
    ("attention", "bertviz-model"),
    ("layers", "heads"),
    ("layers", "partners"),
    ("layers", "cka"),
    ("answers", "inside"),
    ("answers", "mistakes"),
    ("answers", "runs"),
)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with five strategies, another task and a broken entry, and no stored demo."""
    make_runs(tmp_path / "runs")
    return use_runs(tmp_path, monkeypatch)


@pytest.fixture
def no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_runs(tmp_path, monkeypatch)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_with_runs_and_without(page: str, runs: Path):
    """Without it an exception on a page would be seen by visitors first."""
    app = open_page(page)
    assert not app.exception
    assert "sample data, not GLUE" in texts(app)


def test_the_words_of_the_first_screen_are_one_hover_away(runs: Path):
    """Who has never heard of soft labels, maps or nats read three figures of them all the same."""
    told = open_page("start").subheader[0].proto.help
    assert all(
        word in told for word in ("**teacher**", "Soft labels", "All layers at once", "row", "in nats")
    )


@pytest.mark.parametrize(("page", "part"), PARTS)
def test_every_part_of_a_page_stands(page: str, part: str, runs: Path):
    """Without it a part that nobody opened before a release would fail in front of an audience."""
    if part.startswith("bertviz"):
        pytest.importorskip("bertviz", reason="the BertViz views are optional")
    app = open_page(page, run="cola-sid", show=part)
    assert not app.exception
    assert not app.warning
    drawn = [*app.get("plotly_chart"), *app.get("iframe")]
    assert drawn or (page == "attention" and pictures(app)[1])


def test_cka_over_few_examples_is_not_held_against_0(runs: Path):
    """Of 24 sentences two layers that have nothing in common come out at 0.6: "0 unrelated" makes a find of
    it.
    """
    few = "Over 24 examples unrelated layers come out alike too"
    assert few in texts(open_page("layers", run="cola-all", show="cka"))
    assert "come out alike too: compare" not in texts(
        open_page("layers", run="demo-cola-all-6of12-s0", show="cka")
    )


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_runs_folder_is_no_error(page: str, no_runs: Path):
    """Without it the very first start, before anything was trained, would greet with a traceback."""
    app = open_page(page)
    assert not app.exception
    assert "Distil" in texts(app) or "Run your own" in texts(app)


def test_pages_need_no_torch():
    """Without it the first page would take as long as importing torch."""
    code = (
        "import sys, importlib; import kdviz.share.view\n"
        "from pathlib import Path\n"
        "for path in Path('kdviz/ui').glob('*.py'): importlib.import_module('kdviz.ui.' + path.stem)\n"
        "print([name for name in ('torch', 'transformers', 'bertviz', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_run_gets_a_friendly_page(page: str, runs: Path):
    """Without it an old link would end in a traceback or silently show another run."""
    app = open_page(page, run="gone")
    assert not app.exception
    assert "no run `gone`" in texts(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_broken_run_is_one_line(page: str, runs: Path):
    """Without it one damaged folder would take the other runs down with it."""
    app = open_page(page, run="broken")
    assert not app.exception
    assert "`broken` cannot be read" in texts(app)


@pytest.mark.parametrize("page", PAGES)
def test_bad_values_in_a_link_are_said(page: str, runs: Path):
    """Without it a bad link would show something else without a word."""
    app = open_page(page, run="cola-all", layer="77", head="x", weak="7", step="5")
    assert not app.exception
    said = texts(app)
    assert "`head`" in said and "`weak`" in said and "not 77" in said and "step 5" in said


@pytest.mark.parametrize(
    ("page", "part"),
    [
        ("start", ""),
        ("attention", "maps"),
        ("layers", "curves"),
        ("layers", "heads"),
        ("answers", "scores"),
        ("answers", "runs"),
    ],
)
def test_a_diverged_run_can_be_looked_at(page: str, part: str, runs: Path):
    """Without it a run that ended in not-a-number, which JSON keeps as null, would take every page down that
    shows it.
    """
    folder = runs / "cola-sid"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "eval" and line["epoch"] == 3:
            line["logit_kl"] = None
            line["mismatch"] = {
                "attention_kl": [None, 0.5],
                "cls_distance": [None, None],
                "attention_kl_heads": [[None] * 3, [0.5] * 3],
            }
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status = json.loads((folder / "status.json").read_text()) | {
        "state": "failed",
        "error": "the loss is not a number at step 20",
    }
    (folder / "status.json").write_text(json.dumps(status))
    app = open_page(page, run="cola-sid", **({"show": part} if part else {}))
    assert not app.exception
    said = [warning.value for warning in app.warning]
    assert any("the loss is not a number" in words for words in said)
    assert all("the loss is not a number" in words or "**diverged**" in words for words in said)


@pytest.mark.parametrize(("page", "part"), [("distil", ""), ("start", ""), *PARTS])
def test_no_page_tells_where_things_lie_on_the_server(page: str, part: str, runs: Path):
    """Thirty viewers read the banner: the lecturer's folders are nobody's business."""
    if part.startswith("bertviz"):
        pytest.importorskip("bertviz", reason="the BertViz views are optional")
    places = {"teacher": "/srv/ann/bert", "student_checkpoint": "/srv/ann/small", "data_dir": "/srv/ann/glue"}
    edit_config(runs / "cola-all", **places)
    status = json.loads((runs / "cola-all" / "status.json").read_text())
    error = "the kept teacher in /srv/ann/runs/teachers/abc is damaged; details in /srv/ann/runs/x/log.txt"
    (runs / "cola-all" / "status.json").write_text(json.dumps(status | {"state": "failed", "error": error}))
    app = open_page(page, run="cola-all", **({"show": part} if part else {}), **{"with": "cola-soft"})
    tables = "".join(frame.value.to_csv() for frame in app.dataframe)
    assert not app.exception and "srv" not in texts(app) + tables
    if page != "distil" and page != "start":
        assert "bert" in texts(app) and "log" in texts(app)


def test_a_row_without_maps_leads_to_the_presets(runs: Path):
    """Without it a click on a dot of the stored demo, which has no texts and weights, would be a dead end."""
    app = open_page("answers", run="cola-all", show="inside", row="0")
    app.button(key="kdviz.maps.presets").click().run()
    assert not app.exception
    assert app.query_params["over"] == "presets" and "row" not in app.query_params
    assert "preset" in texts(app)


@pytest.mark.parametrize("over", ["examples", "presets"])
def test_of_one_student_the_page_does_not_say_both(over: str, runs: Path):
    """ "Both students give the teacher's answer", of one."""
    for others, said in (("none", "the student gives"), ("cola-soft", "both students give")):
        app = open_page("answers", run="cola-all", show="inside", over=over, **{"with": others})
        assert not app.exception and f"on which {said} the teacher's answer" in texts(app)


def test_a_run_without_weights_leads_to_one_that_answers(tmp_path, monkeypatch):
    """The page said that the stored demo has results only, and some of its runs answer."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    app = open_page("attention", run="demo-cola-all-6of12-s0", text="The cat sat on the mat.")
    assert not app.exception and "results only" not in texts(app)
    button = next(each for each in app.button if each.label == "Ask the QQP models instead")
    app = button.click().run()
    assert not app.exception and "qqp" in str(app.query_params["run"])
    assert "The cat sat on the mat." in [box.value for box in app.text_input]


def test_a_stand_in_for_ones_own_sentence_is_called_what_it_is(tmp_path, monkeypatch):
    """With a run of one's own, of 64 sample sentences, the stored demo's CoLA run offered "the CoLA models",
    and so did the first screen, which left its demo for that run; and a pair was asked of single sentences.
    """
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr("kdviz.ui.attention.sentence.can_be_asked", _can_be_asked)
    monkeypatch.setattr("kdviz.ui.start.parts.can_be_asked", _can_be_asked)
    for strategy in ("soft", "all"):
        make_run(tmp_path / "runs", f"mine-{strategy}", strategy=strategy)
    app = open_page("start")
    app = app.button(key="start.to_own_sentence").click().run()
    assert "demo-qqp" in str(app.query_params["run"])
    for demo, words in (("cola", "the run mine-"), ("mrpc", "the QQP models")):
        app = open_page("attention", run=f"demo-{demo}-all-6of12-s0", text="One.", text2="Two.")
        labels = [each.label.replace("\\", "") for each in app.button]
        assert any(label.startswith(f"Ask {words}") for label in labels)


def _can_be_asked(run) -> bool:
    return run.id.startswith(("mine", "demo-qqp"))


def test_bertviz_of_ones_own_sentence_names_the_epoch_of_the_student(tmp_path, monkeypatch):
    """Weights are kept of some epochs only: maps of the trained student stood under "before training"."""
    pytest.importorskip("bertviz", reason="the BertViz views are optional")
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    asked = {"text": "How do I cook rice?", "text2": "How is rice cooked?"}
    app = open_page("attention", run="demo-qqp-all-3of6-s0", show="bertviz", step="0", **asked)
    assert not app.exception and "**Student**, layer 3, after epoch 3" in texts(app)


def test_a_link_with_nothing_to_see_in_its_text_asks_for_a_sentence(tmp_path, monkeypatch):
    """Models answer a zero-width space as readily as a sentence."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    app = open_page("attention", run="demo-qqp-all-3of6-s0", text="\u200b", text2="\u3164")
    assert not app.exception and "Write both sentences" in texts(app)


@pytest.mark.parametrize("is_open", [False, True])
def test_the_qr_code_of_a_link_is_drawn_for_who_opens_it(is_open: bool, runs: Path):
    """A box that opened empty would be noticed by the room that holds up its phones."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["run"], app.session_state[QR_KEY] = "cola-all", is_open
    app.switch_page("pages/layers.py").run()
    assert not app.exception and len(app.image) == is_open


def test_the_first_screen_leads_to_models_that_answer_ones_own_sentence(tmp_path, monkeypatch):
    """A visitor's first wish; the picture's own models are too large to be stored."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    app = open_page("start")
    assert not [box for box in app.text_input if box.label.startswith("Try your own")]
    app = app.button(key="start.to_own_sentence").click().run()
    assert not app.exception
    assert app.query_params["run"] in ("demo-qqp-soft-3of6-s0", ["demo-qqp-soft-3of6-s0"])
    assert {"Try your own: first sentence", "Second sentence"} <= {box.label for box in app.text_input}


@pytest.mark.parametrize(("params", "said"), [
    ({"at": "99"}, "steps, not 99: its last one is shown"),
    ({"at": "2", "mine": "gone"}, "There is no run `gone`"),
    ({"at": "2", "mine": "../x"}, "`mine` was ignored"),
])  # fmt: skip
def test_what_a_lecture_does_not_have_is_said(params: dict, said: str, runs: Path):
    """A link to a step beyond the last opened the last one, as if it had been meant."""
    app = open_page("learn", **params)
    assert not app.exception and sum(said in each.value for each in app.info) == 1
    assert not any("its last one is shown" in each.value for each in open_page("learn", at="2").info)


def test_a_study_that_cannot_be_read_is_listed_with_its_reason(runs: Path):
    """A folder that was half copied was missing from the list without a word."""
    (runs / "studies" / "half").mkdir(parents=True)
    (runs / "studies" / "half" / "study.toml").write_text("[settings]\ntask = ")
    app = open_page("studies")
    assert not app.exception
    assert any("half cannot be read" in each.value and "TOML" in each.value for each in app.caption)


@pytest.mark.parametrize("page", PAGES)
def test_a_runs_folder_that_can_be_none_is_said_instead_of_every_page(page: str, no_runs: Path, monkeypatch):
    """An empty text in a start script was a traceback on every page."""
    app = open_page(page)
    monkeypatch.setenv("KDVIZ_RUNS_DIR", '""')
    app.run()
    assert not app.exception
    assert [each.value for each in app.error] == ["KDVIZ\\_RUNS\\_DIR\\: expected a path, got '\"\"'"]


def test_a_runs_folder_that_is_none_is_listed_with_its_reason(tmp_path: Path, monkeypatch, capsys):
    """A mistyped folder looked like an empty one: the demo alone, and no word of where the runs are."""
    (tmp_path / "notes.txt").write_text("")
    assert main(["list", "--runs-dir", str(tmp_path / "notes.txt")]) == 0
    assert "notes.txt  unreadable" in capsys.readouterr().out
    assert main(["list", "--runs-dir", str(tmp_path / "typo")]) == 0
    assert "there is no folder" in capsys.readouterr().err
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "notes.txt"))
    app = open_page("attention")
    assert not app.exception and any("notes" in each.value for each in app.caption)
