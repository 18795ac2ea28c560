"""Runs side by side on the pages: which may stand together, and what is said where they may not."""

import json
from pathlib import Path

import pytest
from folders import make_run, make_runs
from opened import edit_config, open_page, texts, use_runs

from kdviz.runs.reader import Run
from kdviz.share.report import report

PAGES = ("start", "attention", "layers", "answers")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with five strategies, another task and a broken entry, and no stored demo."""
    make_runs(tmp_path / "runs")
    return use_runs(tmp_path, monkeypatch)


def test_the_verdict_is_plain_where_internal_distillation_does_not_win(runs: Path):
    """Without it the landing page would advertise what its own numbers deny."""
    app = open_page("start", run="cola-all")
    rows = {
        name: Run(runs / f"cola-{name}").evals[-1]["metrics"]["matthews"]
        for name in ("soft", "all", "pid", "sid")
    }
    assert max(rows["all"], rows["pid"], rows["sid"]) <= rows["soft"]
    assert "does not beat" in texts(app)


def test_students_of_other_depths_join_the_size_plot(runs: Path):
    """Without it score against size would show one size."""
    make_run(runs, "deeper", strategy="all", student_layers=4)
    app = open_page("answers", run="cola-all", show="runs")
    assert not app.exception
    names = [
        trace["name"] for chart in app.get("plotly_chart") for trace in json.loads(chart.proto.spec)["data"]
    ]
    assert any("4 layers" in name for name in names)


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


@pytest.mark.parametrize(
    ("page", "part"),
    [("layers", "curves"), ("answers", "scores"), ("answers", "inside"), ("answers", "runs")],
)
def test_runs_on_other_examples_are_not_laid_over_each_other(page: str, part: str, runs: Path):
    """Row 5 of sample data and row 5 of GLUE are two sentences: matched by their number, they would be
    compared in silence.
    """
    data = json.loads((runs / "cola-soft" / "config.json").read_text())["data"]
    edit_config(runs / "cola-soft", data=data | {"source": "folder", "fingerprint": "beef"})
    app = open_page(page, run="cola-all", show=part, **{"with": "cola-soft,cola-hard"})
    assert not app.exception
    notice = next(info.value for info in app.info if "cola-soft" in info.value)
    assert "other sentences" in notice and "sample data, not GLUE" in notice
    lists = [*app.selectbox, *app.multiselect]
    offered = [name for each in lists if each.label == "Compared with" for name in each.options]
    assert offered and not any("soft labels" in name for name in offered)


def test_another_teacher_is_said(runs: Path):
    """One line for the teacher beside students of two teachers would be true of one of them."""
    edit_config(runs / "cola-soft", teacher_fingerprint="fedcba9876543210")
    app = open_page("answers", run="cola-all", show="scores", **{"with": "cola-soft"})
    assert any("another teacher" in info.value for info in app.info)


@pytest.mark.parametrize("page", PAGES)
def test_a_run_to_compare_with_that_is_not_here_is_named(page: str, runs: Path):
    """On Start and Attention it was left out without a word: another picture than the link's."""
    app = open_page(page, run="cola-sid", **{"with": "cola-soft,gone"})
    said = [each.value for each in app.info if "to compare with" in each.value]
    assert not app.exception and len(said) == 1 and "`gone`" in said[0] and "cola-soft" not in said[0]


def test_settings_that_name_layers_count_from_1_as_the_pictures_do(runs: Path):
    """The table showed the pair "(0, 1)", the legend of the same run "1 ↔ 2"."""
    for name in ("cola-a", "cola-b"):
        make_run(runs, name, strategy="all", student_layers=2)
    edit_config(runs / "cola-a", matching="custom:0,2", pairs=[[0, 0], [1, 2]], active_pairs=[1])
    app = open_page("answers", run="cola-b", show="runs", **{"with": "cola-a"})
    assert not app.exception
    [table] = [each.value for each in app.dataframe if "setting" in each.value]
    shown = table.set_index("setting").astype(str)
    assert "custom: teacher layers 1, 3" in set(shown.loc["matching"])
    assert "1 ↔ 1, 2 ↔ 3" in set(shown.loc["pairs"])
    assert "student layers 2" in set(shown.loc["active pairs"])
    html = report(*(Run(runs / name) for name in ("cola-a", "cola-b")))
    differing = html.partition("What differs")[2].partition("</table>")[0]
    for words in ("custom: teacher layers 1, 3", "1 ↔ 1, 2 ↔ 3", "student layers 2"):
        assert words in differing and html.count("custom:0,2") == 1, "in the command that makes it again"
