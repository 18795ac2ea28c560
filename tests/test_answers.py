"""The Answers page in its words and pictures: what they claim of two runs is so, whichever of them is looked
at.
"""

import json
from pathlib import Path

import pytest
from folders import make_run
from opened import open_page, texts, use_runs
from streamlit.testing.v1 import AppTest

from kdviz.palette import run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.reader import Run
from kdviz.share.view import View
from kdviz.ui.answers import inside, mistakes


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Soft labels and all layers, with numbers of their own, and no stored demo."""
    folder = use_runs(tmp_path, monkeypatch)
    make_run(folder, "cola-soft", strategy="soft", created="2026-01-02T03:00:00Z")
    make_run(folder, "cola-all", strategy="all", created="2026-01-02T03:01:00Z")
    return folder


def figures_of(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def test_the_most_different_inside_stands_first_whichever_run_is_looked_at(runs: Path):
    """Ordered by a signed difference the list was upside down beneath soft labels: those most alike first."""
    listed = {}
    for run, other in (("cola-soft", "cola-all"), ("cola-all", "cola-soft")):
        app = open_page("answers", run=run, show="inside", **{"with": other})
        table = app.dataframe[0].value
        first, second = (table[name] for name in table.columns if name.startswith("attention KL"))
        gaps = (first - second).abs()
        assert len(gaps) > 5 and gaps.is_monotonic_decreasing
        listed[run] = table
    assert listed["cola-soft"].equals(listed["cola-all"])


def test_a_list_that_is_cut_says_so(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """Who reads 200 of 863 rows as all of them counts wrongly."""
    whole = open_page("answers", run="cola-all", show="inside")
    number = len(whole.dataframe[0].value)
    assert "the first" not in texts(whole)
    monkeypatch.setattr("kdviz.ui.answers.inside.MOST_ROWS", 5)
    app = open_page("answers", run="cola-all", show="inside")
    assert len(app.dataframe[0].value) == 5 and f"first (the first 5 of {number})" in texts(app)


def test_a_run_keeps_its_colour_from_part_to_part(runs: Path):
    """Two seeds of one strategy swapped colours between the parts, and on one both were the same green."""
    make_run(runs, "all-1", strategy="all", seed=1, created="2026-01-02T03:02:00Z")
    colours = [style.colour for style in run_styles(["all", "all"])]
    app = open_page("answers", run="cola-all", show="inside", **{"with": "all-1"})
    dots = {
        trace["name"]: trace["marker"]["color"]
        for trace in figures_of(app)[0]["data"]
        if trace.get("customdata")
    }
    first, second = distinct_names([Run(runs / "cola-all"), Run(runs / "all-1")])
    assert [dots[first], dots[second]] == colours
    app = open_page("answers", run="cola-all", show="mistakes", **{"with": "all-1"})
    heads = [figure["layout"]["annotations"][0]["text"] for figure in figures_of(app)[:2]]
    assert [colour in head for colour, head in zip(colours, heads, strict=True)] == [True, True], heads


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[View]:
    """What clicks at step 8 of `cola-all` beside `cola-soft` lead to."""
    start, reached = View(run="cola-all", others=("cola-soft",), step=8), []
    for part in (inside, mistakes):
        monkeypatch.setattr(part, "change", lambda **changes: reached.append(start.but(**changes)))
    monkeypatch.setattr(inside, "go_to", lambda page: None)
    monkeypatch.setattr(mistakes, "current", lambda: start)
    return reached


def test_a_preset_opens_at_the_moment_whose_numbers_were_clicked(runs: Path, looked_at: list[View]):
    """At the last moment its maps and its KL are others than the ones clicked."""
    ours, theirs = Run(runs / "cola-all"), Run(runs / "cola-soft")
    for beside in ([ours, theirs], [theirs, ours]):
        inside._open_dot([{"customdata": [0, 1]}], beside, ours, ["agreement", "negation"])
        found = looked_at[-1]
        assert (found.run, found.others, found.probe, found.step) == (ours.id, (theirs.id,), "negation", 8)


def test_a_cell_of_the_other_run_shows_it_at_the_same_moment(runs: Path, looked_at: list[View]):
    """The other run's last moment has other counts than the cell that was clicked."""
    pair = [Run(runs / "cola-all"), Run(runs / "cola-soft")]
    mistakes._choose_cell([{"customdata": [0, 0, 1]}], pair, 1)
    assert (looked_at[0].run, looked_at[0].cell, looked_at[0].step) == ("cola-soft", "teacher-only", 8)
    make_run(runs, "cola-long", strategy="sid", epochs=6)
    mistakes._choose_cell([{"customdata": [0, 0, 1]}], [pair[0], Run(runs / "cola-long")], 1)
    assert looked_at[1].step == 16  # a third of its training, as 8 of 24 steps are
