"""The pages, run without a browser: what they show comes from the run folder, and nothing in a folder or a
link breaks them.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from folders import attention_kl, make_run, make_runs
from packs import pictures
from streamlit.testing.v1 import AppTest

from kdviz.cli import main
from kdviz.runs.reader import Run
from kdviz.ui.frame import store as ui_store

ROOT = Path(__file__).parents[1]
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
    return _use(tmp_path, monkeypatch)


@pytest.fixture
def no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return _use(tmp_path, monkeypatch)


def _use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    return tmp_path / "runs"


def open_page(name: str, **params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    for key, value in params.items():
        app.query_params[key] = value
    return app.switch_page(f"pages/{name}.py").run()


def texts(app: AppTest) -> str:
    """Everything a page says in words."""
    elements = [*app.markdown, *app.info, *app.warning, *app.caption, *app.subheader, *app.error]
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_with_runs_and_without(page: str, runs: Path):
    """Without it an exception on a page would be seen by visitors first."""
    app = open_page(page)
    assert not app.exception
    assert "sample data, not GLUE" in texts(app)


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
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
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


def test_maps_are_those_of_the_files(runs: Path):
    """Without it the page could show another layer, head, moment or sentence than it says."""
    run = Run(runs / "cola-soft")
    app = open_page("attention", run="cola-soft", preset="negation", layer="1", head="2", step="8")
    settings, (pack,) = pictures(app)
    look = settings["look"]
    assert (look["pair"], look["head"], look["step"]) == (0, 1, 8)
    moment, (student_layer, teacher_layer) = pack.header["steps"].index(8), run.pairs[0]
    teacher, student = (
        run.teacher_maps("negation")[teacher_layer, 1],
        run.student_maps(8, "negation")[student_layer, 1],
    )
    assert pack.map(None, 0, 1) == pytest.approx(teacher, abs=5e-5)
    assert pack.map(moment, 0, 1) == pytest.approx(student, abs=5e-5)
    assert pack.rows(moment, 0, 1).mean() == pytest.approx(
        attention_kl(teacher[None], student[None]), abs=1e-5
    )


def test_the_average_head_has_the_recorded_number(runs: Path):
    """Without it the KL of averaged maps could be shown for the average KL of the heads, which is the smaller
    one.
    """
    run = Run(runs / "cola-soft")
    _, (pack,) = pictures(open_page("attention", run="cola-soft", preset="negation"))
    for moment, line in enumerate(run.probe_lines):
        recorded = line["probes"]["negation"]["attention_kl"]
        assert pack.header["pair_kl"][moment] == recorded
        for pair, number in enumerate(recorded):
            assert pack.rows(moment, pair, None).mean() == pytest.approx(number, abs=1e-3)


def test_a_perfect_student_differs_nowhere(runs: Path):
    """Without it a difference could be drawn where there is none."""
    make_run(runs, "perfect", closeness=1.0)
    _, (pack,) = pictures(open_page("attention", run="perfect"))
    last = len(pack.header["steps"]) - 1
    assert abs(pack.map(None, 1, None) - pack.map(last, 1, None)).max() < 1e-3
    assert pack.rows(last, 1, None) == pytest.approx(0, abs=1e-3)


def test_filters_go_from_the_link_into_the_picture(runs: Path):
    """Without it a shared link would show rows that its sender had hidden."""
    look = pictures(open_page("attention", run="cola-all", hide="1", renormalise="1", weak="0.1"))[0]["look"]
    assert (look["hide"], look["renormalise"], look["weak"]) == (True, True, 0.1)


def test_two_students_stand_beside_one_teacher(runs: Path):
    """Without it "same answer, different inside" would need two windows."""
    settings, packs = pictures(open_page("attention", run="cola-all", **{"with": "cola-soft"}))
    assert [pack.header["about"]["run"] for pack in packs] == ["cola-all", "cola-soft"]
    _, alone = pictures(open_page("attention", run="cola-all", **{"with": "mrpc-all"}))
    assert len(alone) == 1


def test_bertviz_moves_through_the_moments(runs: Path):
    """Without it the link would send another moment of training than the one in sight."""
    pytest.importorskip("bertviz", reason="the BertViz views are optional")
    app = open_page("attention", run="cola-all", show="bertviz")
    app.button(key="kdviz.back").click().run()
    assert not app.exception
    assert app.query_params["step"] == "20"


def test_another_run_keeps_sentence_and_moment(runs: Path):
    """Without it comparing two runs would mean choosing everything again."""
    app = open_page("attention", run="cola-all", preset="reflexive", step="12", head="3")
    app.selectbox(key="kdviz.control.run").set_value("cola-soft").run()
    assert not app.exception
    assert dict(app.query_params) == {"run": "cola-soft", "preset": "reflexive", "step": "12", "head": "3"}


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "</script>", "😀 שלום", "a" * 5000, "", "   ", "`*_[x](http://a)_*`"],
)
def test_hostile_sentences_end_in_a_line(text: str, runs: Path):
    """Without it a sentence could break the page; these runs have no weights, so the page has to say so."""
    app = open_page("attention", run="cola-all", text=text)
    assert not app.exception
    assert app.warning or app.info


def test_the_verdict_is_plain_where_internal_distillation_does_not_win(runs: Path):
    """Without it the landing page would advertise what its own numbers deny."""
    app = open_page("start", run="cola-all")
    rows = {
        name: Run(runs / f"cola-{name}").evals[-1]["metrics"]["matthews"]
        for name in ("soft", "all", "pid", "sid")
    }
    assert max(rows["all"], rows["pid"], rows["sid"]) <= rows["soft"]
    assert "does not beat" in texts(app)


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


def test_a_figure_taken_apart_keeps_everything():
    """Without it a phone would be shown curves without their stage lines, or lines without a name."""
    import numpy as np

    from kdviz.figures import RunCurves, layer_curves
    from kdviz.ui.frame.narrow import panels_of

    values = np.array([[0.5, 0.4], [0.2, 0.3]])
    run = RunCurves(
        run_id="a",
        label="a",
        strategy="sid",
        epochs=[0, 1],
        steps=[0, 9],
        pairs=((0, 1), (1, 3)),
        attention_kl=values,
        cls_distance=values / 9,
        stages=[(0.0, "1"), (1.0, "labels")],
    )
    whole = layer_curves([run], over="9 examples", shown_epoch=0.5)
    panels = panels_of(whole)
    assert len(panels) == 2
    assert sum(len(panel.data) for panel in panels) == len(whole.data)
    assert sum(len(panel.layout.shapes) for panel in panels) == len(whole.layout.shapes)
    assert [list(trace.y) for panel in panels for trace in panel.data] == [
        list(trace.y) for axis in ("x", "x2") for trace in whole.data if (trace.xaxis or "x") == axis
    ]
    assert all(panel.layout.xaxis.domain == (0, 1) and panel.layout.yaxis.title.text for panel in panels)
    assert all(
        {trace.name for trace in panel.data if trace.showlegend} == {trace.name for trace in panel.data}
        for panel in panels
    )


def test_students_of_other_depths_join_the_size_plot(runs: Path):
    """Without it score against size would show one size."""
    make_run(runs, "deeper", strategy="all", student_layers=4)
    app = open_page("answers", run="cola-all", show="runs")
    assert not app.exception
    names = [
        trace["name"] for chart in app.get("plotly_chart") for trace in json.loads(chart.proto.spec)["data"]
    ]
    assert any("4 layers" in name for name in names)


def test_headings_break_on_a_phone():
    """Without it half the sentence that a figure is about would stand outside a phone's screen."""
    from kdviz.figures import cka_film
    from kdviz.ui.frame.narrow import broken, for_phone

    film = cka_film(
        [[[0.1, 0.9]], [[0.2, 0.8]]],
        [0, 1],
        [(0, 1)],
        over="1,043 evaluation examples of a task with a long name",
    )
    phone = for_phone(film)
    headings = [note.text for note in phone.layout.annotations]
    assert [heading.replace("<br>", " ") for heading in headings] == [
        note.text for note in film.layout.annotations
    ]
    assert headings[0].count("<br>") == 1 and phone.layout.margin.t > film.layout.margin.t
    assert (
        phone.layout.height - phone.layout.margin.t - phone.layout.margin.b
        == film.layout.height - film.layout.margin.t - film.layout.margin.b
    )
    assert [note.text for note in phone.frames[1].layout.annotations] == headings
    assert (
        phone.layout.sliders[0].len == 1
        and phone.layout.sliders[0].pad.t > phone.layout.updatemenus[0].pad.t + 40
    )
    assert for_phone(phone) is phone
    assert broken("<b>one two</b> three", 7) == "<b>one two</b><br>three"
    assert broken("uninterrupted", 5) == "uninterrupted"


@pytest.mark.parametrize(
    ("page", "part"),
    [
        ("layers", "curves"),
        ("answers", "scores"),
        ("answers", "inside"),
        ("answers", "mistakes"),
        ("answers", "runs"),
    ],
)
def test_runs_of_different_tasks_are_not_laid_over_each_other(page: str, part: str, runs: Path):
    """Without it two curves over different sentences would be read as a comparison."""
    app = open_page(page, run="cola-all", show=part, **{"with": "mrpc-all,cola-soft"})
    assert not app.exception
    notice = next(info.value for info in app.info if "mrpc-all" in info.value)
    assert "MRPC" in notice and "CoLA" in notice and "other task" in notice
    drawn = json.dumps(
        [trace for chart in app.get("plotly_chart") for trace in json.loads(chart.proto.spec)["data"]]
    )
    assert "mrpc" not in drawn and "soft" in drawn


def _edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("page", "part"),
    [("layers", "curves"), ("answers", "scores"), ("answers", "inside"), ("answers", "runs")],
)
def test_runs_on_other_examples_are_not_laid_over_each_other(page: str, part: str, runs: Path):
    """Row 5 of sample data and row 5 of GLUE are two sentences: matched by their number, they would be
    compared in silence.
    """
    data = json.loads((runs / "cola-soft" / "config.json").read_text())["data"]
    _edit(runs / "cola-soft", data=data | {"source": "folder", "fingerprint": "beef"})
    app = open_page(page, run="cola-all", show=part, **{"with": "cola-soft,cola-hard"})
    assert not app.exception
    notice = next(info.value for info in app.info if "cola-soft" in info.value)
    assert "other sentences" in notice and "sample data, not GLUE" in notice
    lists = [*app.selectbox, *app.multiselect]
    offered = [name for each in lists if each.label == "Compared with" for name in each.options]
    assert offered and not any("soft labels" in name for name in offered)


def test_another_teacher_is_said(runs: Path):
    """One line for the teacher beside students of two teachers would be true of one of them."""
    _edit(runs / "cola-soft", teacher_fingerprint="fedcba9876543210")
    app = open_page("answers", run="cola-all", show="scores", **{"with": "cola-soft"})
    assert any("another teacher" in info.value for info in app.info)


@pytest.mark.parametrize(("page", "part"), [("distil", ""), ("start", ""), *PARTS])
def test_no_page_tells_where_things_lie_on_the_server(page: str, part: str, runs: Path):
    """Thirty viewers read the banner: the lecturer's folders are nobody's business."""
    if part.startswith("bertviz"):
        pytest.importorskip("bertviz", reason="the BertViz views are optional")
    places = {"teacher": "/srv/ann/bert", "student_checkpoint": "/srv/ann/small", "data_dir": "/srv/ann/glue"}
    _edit(runs / "cola-all", **places)
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


@pytest.mark.parametrize("page", PAGES)
def test_a_run_to_compare_with_that_is_not_here_is_named(page: str, runs: Path):
    """On Start and Attention it was left out without a word: another picture than the link's."""
    app = open_page(page, run="cola-sid", **{"with": "cola-soft,gone"})
    said = [each.value for each in app.info if "to compare with" in each.value]
    assert not app.exception and len(said) == 1 and "`gone`" in said[0] and "cola-soft" not in said[0]


def test_a_run_that_one_picture_cannot_hold_is_named(runs: Path):
    """A run of another task asked for beside this one: the picture showed this one alone."""
    app = open_page("attention", run="cola-sid", **{"with": "mrpc-all"})
    assert any("`mrpc-all`" in each.value and "one picture" in each.value for each in app.info)
    app = open_page("attention", run="cola-sid", **{"with": "cola-soft"})
    assert not any("one picture" in each.value for each in app.info)


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
