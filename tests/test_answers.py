"""The Answers page in its words and pictures: what they claim of two runs is so, whichever of them is looked
at.
"""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from cachetools import TTLCache
from folders import cut_off, make_run
from opened import open_page, texts, use_runs
from safetensors.numpy import load_file
from streamlit.testing.v1 import AppTest

from kdviz.cli import main
from kdviz.data import Example
from kdviz.errors import RequestError
from kdviz.files import finite, write_arrays
from kdviz.palette import run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.reader import Run
from kdviz.share.report import report
from kdviz.share.view import View
from kdviz.tasks import TASKS
from kdviz.text import cell
from kdviz.training.evaluate import Evaluated
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


def edit_lines(folder: Path, change) -> None:
    """The run's metrics.jsonl with every line as `change` gives it back; one of None is left out."""
    path = folder / "metrics.jsonl"
    lines = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines if line))


def notes(figure: dict) -> str:
    return " ".join(note["text"] for note in figure["layout"]["annotations"])


def test_every_number_stands_over_its_own_examples(runs: Path):
    """A score on 12 examples was headed and hovered as one on 24."""
    make_run(runs, "fewer", strategy="sid", num_eval=12, created="2026-01-02T03:02:00Z")
    for part, count in (("scores", 1), ("runs", 2)):
        app = open_page("answers", run="cola-all", show=part, **{"with": "fewer"})
        assert not app.exception
        figures = figures_of(app)
        assert len(figures) == count and all("n = 24 and 12 evaluation" in notes(each) for each in figures)
        hovered = [
            (trace["name"], trace["hovertemplate"])
            for figure in figures
            for trace in figure["data"]
            if "n = " in trace.get("hovertemplate", "")
        ]
        assert {"(n = 12)" in words for name, words in hovered if name.startswith("stacked")} == {True}
        assert {"(n = 24)" in words for name, words in hovered if not name.startswith("stacked")} == {True}
    curves = open_page("layers", run="cola-all", show="curves", **{"with": "fewer"})
    figure = figures_of(curves)[0]
    assert "means over 24 and 12 evaluation examples" in notes(figure)
    assert {
        (trace["customdata"][0][0], trace["hovertemplate"].split("mean over ")[1].split("<")[0])
        for trace in figure["data"]
        if trace.get("customdata")
    } == {("cola-all", "24 evaluation examples"), ("fewer", "12 evaluation examples")}


@pytest.mark.parametrize("part", ["inside", "mistakes", "scores"])
def test_every_part_names_the_epoch_its_answers_are_of(runs: Path, part: str):
    """The moment lies between two evaluations: numbers of before training were read as those of its end."""
    run = Run(runs / "cola-all")
    step = run.moments[1].step
    assert 0 < run.moments[1].epoch < 1
    app = open_page("answers", run="cola-all", show=part, step=str(step), **{"with": "cola-soft"})
    assert "n = 24; before training (" in texts(app)


def test_a_list_promises_maps_only_where_they_can_be_had(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """Texts alone are not enough: whoever chose a row was told that the run keeps no weights."""
    example = Example(index=3, text_a="The cat sat.", text_b=None, label=1)
    for module in ("inside", "mistakes"):
        monkeypatch.setattr(f"kdviz.ui.answers.{module}.texts_of", lambda run: {3: example})
    for part in ("inside", "mistakes"):
        assert "and maps" not in texts(open_page("answers", run="cola-all", show=part))
    monkeypatch.setattr("kdviz.ui.answers.inside.can_be_asked", lambda run: True)
    for part in ("inside", "mistakes"):
        assert "and maps" in texts(open_page("answers", run="cola-all", show=part))


def test_a_verdict_over_different_examples_says_so(runs: Path):
    """Answers to other examples were said not to be stored; another draw of as many rows is other examples
    too.
    """
    make_run(runs, "fewer", strategy="soft", num_eval=12, created="2026-01-02T03:02:00Z")
    drawn = make_run(runs, "drawn", strategy="soft", closeness=0.1, created="2026-01-02T03:03:00Z")
    for path in (drawn / "evaluations").iterdir():
        arrays = load_file(path)
        write_arrays(path, arrays | {"index": arrays["index"] + 1})
    for other, n in (("fewer", "24 and 12"), ("drawn", "24")):
        app = open_page("answers", run="cola-all", show="scores", **{"with": other})
        said = texts(app)
        assert f"scored on different examples (n = {n})" in said and "not stored" not in said, said


def test_phenomena_are_those_of_the_examples_that_both_answered(runs: Path):
    """The share of 4 examples stood under the number of 8."""
    make_run(runs, "fewer", strategy="sid", num_eval=12, created="2026-01-02T03:02:00Z")
    app = open_page("answers", run="cola-all", show="mistakes", **{"with": "fewer"})
    ticks = figures_of(app)[-1]["layout"]["yaxis"]["ticktext"]
    assert [tick.split(" (")[1] for tick in ticks] == ["n = 4)"] * 3
    alone = open_page("answers", run="cola-all", show="mistakes", **{"with": "none"})
    ticks = figures_of(alone)[-1]["layout"]["yaxis"]["ticktext"]
    assert [tick.split(" (")[1] for tick in ticks] == ["n = 8)"] * 3


def test_curves_of_presets_are_said_to_be_of_presets(runs: Path):
    """A run that evaluated nothing was headed as a mean over 0 examples, or over those of the run beside."""
    edit_lines(runs / "cola-all", lambda line: line if line["kind"] != "eval" else None)
    alone = open_page("layers", run="cola-all", show="curves", **{"with": "none"})
    assert "means over 4 presets;" in notes(figures_of(alone)[0])
    beside = open_page("layers", run="cola-soft", show="curves", **{"with": "cola-all"})
    assert "means over 24 evaluation examples and 4 presets;" in notes(figures_of(beside)[0])


def test_the_share_of_a_run_that_was_stopped_is_of_its_plan(runs: Path):
    """A run stopped after one epoch of three was drawn to 100 % and read as further on than it is."""
    cut_off(make_run(runs, "stopped", strategy="all", state="stopped"), 8)
    app = open_page("layers", run="cola-soft", show="curves", axis="progress", **{"with": "stopped"})
    ends = {
        trace["customdata"][0][0]: trace["x"][-1]
        for trace in figures_of(app)[0]["data"]
        if trace.get("customdata")
    }
    assert ends == {"cola-soft": 1, "stopped": pytest.approx(1 / 3, abs=1e-3)}


def test_whose_stages_are_drawn_is_said_among_several(runs: Path):
    """Stage lines of one run were read as those of both."""
    for strategy in ("pid", "sid"):
        make_run(runs, strategy, strategy=strategy, epochs=4, created="2026-01-02T03:02:00Z")
    app = open_page("layers", run="cola-soft", show="curves", **{"with": "pid,sid"})
    assert "stages: those of “layer by layer”" in notes(figures_of(app)[0]), notes(figures_of(app)[0])
    alone = open_page("layers", run="pid", show="curves", **{"with": "none"})
    assert "stages: those" not in notes(figures_of(alone)[0])


def without_answers(folder: Path, rows: slice) -> None:
    """The last evaluation of a run as a diverged student leaves it: in these rows nothing is finite."""
    path = max((folder / "evaluations").iterdir())
    arrays = load_file(path)
    for name in ("student_logits", "attention_kl"):
        arrays[name][rows] = np.nan
    write_arrays(path, arrays)
    found = Run(folder).evaluation(3)
    terms = {"attention_kl": found.attention_kl, "cls_distance": found.cls_distance}
    evaluated = Evaluated(
        index=found.index,
        labels=found.label.astype(int),
        teacher_logits=found.teacher_logits,
        student_logits=found.student_logits,
        terms=terms,
        cka=None,
    )
    record = finite(evaluated.record(TASKS["cola"]))
    heads = {"attention_kl_heads": [[None] * 3] * 2}
    record["mismatch"] |= heads

    def diverged(line: dict) -> dict:
        if line["kind"] == "eval" and line["epoch"] == 3:
            return line | record
        if line["kind"] == "probe" and line["epoch"] == 3:
            nothing = {"student_logits": [None] * 2, "attention_kl": [None] * 2, "cls_distance": [None] * 2}
            line["probes"] = dict.fromkeys(line["probes"], nothing)
            line["mismatch"] = {"attention_kl": [None] * 2, "cls_distance": [None] * 2}
        return line

    edit_lines(folder, diverged)


@pytest.mark.parametrize("rows", [slice(None), slice(0, 5)])
def test_what_is_no_number_is_no_answer(runs: Path, rows: slice):
    """The largest of numbers that are none is the first class: a student without a single answer "kept" half
    of the teacher's right answers, and hovers read "nan".
    """
    without_answers(runs / "cola-all", rows)
    run, number = Run(runs / "cola-all"), len(range(24)[rows])
    assert set(run.evals[-1]["metrics"].values()) == {None} and run.evals[-1]["agreement"] is None
    mistaken = open_page("answers", run="cola-all", show="mistakes", row="0", cell="all", **{"with": "none"})
    assert not mistaken.exception
    table = mistaken.dataframe[0].value
    assert (table["student"] == "–").sum() == number and (table["teacher"] != "–").all()
    figure = figures_of(mistaken)[0]
    assert f"{number} without an answer" in notes(figure)
    answered = np.ones(24, dtype=bool)
    answered[rows] = False
    found = run.evaluation(3)
    teacher = found.teacher_logits.argmax(axis=1) == found.label
    kept = teacher & answered & (found.student_logits.argmax(axis=1) == found.label)
    assert f"keeps <b>{kept.sum() / teacher.sum():.1%}</b>" in notes(figure)
    assert "attention KL –" in texts(mistaken)
    scores = open_page("answers", run="cola-all", show="scores", **{"with": "none"})
    assert not scores.exception
    row = scores.dataframe[0].value.set_index("model").iloc[1]
    assert row["Matthews correlation"] == row["agreement"] == row["logit_kl"] == "–"
    assert f"{number} of 24 examples no answer" in texts(scores)
    for page, part in (("answers", "runs"), ("layers", "heads"), ("layers", "curves"), ("start", "")):
        app = open_page(page, run="cola-all", **({"show": part} if part else {}))
        assert not app.exception and "nan" not in json.dumps(figures_of(app)), (page, part)


def test_presets_have_their_names(runs: Path):
    """ "Example 0" is no preset's name, and "3 of 4 examples" counted presets."""
    app = open_page("answers", run="cola-all", show="inside", over="presets", step="8")
    figure = figures_of(app)[0]
    hovered = [trace["text"] for trace in figure["data"] if trace.get("customdata")]
    titles = [probe.title for probe in Run(runs / "cola-all").probes]
    assert len(hovered) == 2
    for words in hovered:
        assert [text.split("<br>")[0] for text in words] == titles
    assert "of 4 presets" in notes(figure) and "example" not in notes(figure)


def test_partners_of_heads_stand_where_the_maps_are_finite(runs: Path):
    """One moment of a training that diverged took the whole part away, at every other moment too."""
    path = max((runs / "cola-all" / "snapshots").glob("step_*"))
    write_arrays(path, {name: np.full_like(maps, np.nan) for name, maps in load_file(path).items()})
    for step in ("0", "4"):
        app = open_page("layers", run="cola-all", show="partners", step=step)
        assert not app.exception and not app.warning and len(app.get("plotly_chart")) >= 1
        assert "1 moment at which the maps are not finite" in texts(app)
    app = open_page("layers", run="cola-all", show="partners", step="24")
    assert not app.exception and "step 24 are not finite" in texts(app)
    whole = open_page("layers", run="cola-soft", show="partners", step="0")
    assert "not finite" not in texts(whole)


def test_scores_stand_though_the_stored_answers_are_damaged(runs: Path):
    """One torn file of answers took every score of the page with it, which stand in another file."""
    path = max((runs / "cola-all" / "evaluations").iterdir())
    path.write_bytes(path.read_bytes()[:70])
    for show in ("scores", "runs"):
        app = open_page("answers", run="cola-all", show=show, **{"with": "cola-soft"})
        assert not app.exception and len(figures_of(app)) >= 1, show
    app = open_page("answers", run="cola-all", show="scores")
    assert "The stored answers of this run cannot be read" in texts(app)
    table = app.dataframe[0].value.set_index("model")
    assert "[" not in table.loc["teacher"].iloc[0] and "[" in table.iloc[1].iloc[0]


def test_a_run_keeps_its_colour_beside_one_without_a_number(runs: Path):
    """While one of two runs of a strategy has not been evaluated, the other took its colour."""
    make_run(runs, "all-1", strategy="all", seed=1, created="2026-01-02T03:02:00Z")
    edit_lines(runs / "cola-all", lambda line: line if line["kind"] != "eval" else None)
    second = run_styles(["all", "all"])[1].colour
    for page, show in (("answers", "scores"), ("answers", "runs"), ("layers", "curves")):
        app = open_page(page, run="cola-all", show=show, **{"with": "all-1"})
        assert not app.exception and second in json.dumps(figures_of(app)[0]), show


def test_one_example_is_not_several(runs: Path):
    """1 evaluation examples."""
    make_run(runs, "one", num_eval=1, source="folder", created="2026-01-02T03:02:00Z")
    for page, show in (("answers", "scores"), ("layers", "curves"), ("layers", "heads"), ("layers", "cka")):
        app = open_page(page, run="one", show=show, **{"with": "none"})
        assert not app.exception and "1 evaluation example" in notes(figures_of(app)[0]), show
        assert "1 evaluation examples" not in notes(figures_of(app)[0]) + texts(app), show
    assert "1 evaluation examples" not in report(Run(runs / "one"))


def test_how_long_a_run_trained_that_was_stopped(runs: Path):
    """The line that says what stands behind the numbers said 3 epochs of a run that came to one."""
    cut_off(make_run(runs, "stopped", state="stopped"), 8)
    assert " 1 of 3 epochs " in texts(open_page("answers", run="stopped"))
    assert " 3 epochs " in texts(open_page("answers", run="cola-all"))


def test_before_training_is_before_training(runs: Path, capsys):
    """Where the first evaluation could not be read, the one after the first epoch was called that."""
    run = runs / "cola-all"
    first = (("eval", 0), ("probe", 0))
    edit_lines(run, lambda line: None if (line["kind"], line.get("step")) in first else line)
    app = open_page("layers", run="cola-all", show="curves", **{"with": "none"})
    assert "before training" not in json.dumps(figures_of(app)[0])
    main(["show", "cola-all", "--runs-dir", str(runs)])
    assert capsys.readouterr().out.count("before training –") == 2 + 2, "two metrics, two layers"
    assert "<td>–</td></tr>" in report(Run(run))
    whole = open_page("layers", run="cola-soft", show="curves", **{"with": "none"})
    assert "dotted levels: before training" in notes(figures_of(whole)[0])


def test_no_text_of_a_table_is_a_formula(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """A table on a page can be saved for a spreadsheet, which would run the sentence of a stranger's data."""
    sentence = "=HYPERLINK(1)"
    rows = Run(runs / "cola-all").evaluated_rows
    known = {row: Example(index=row, text_a=sentence, text_b=None, label=0) for row in rows}
    for part in (inside, mistakes):
        monkeypatch.setattr(part, "texts_of", lambda run: known)
    for show in ("inside", "mistakes"):
        app = open_page("answers", run="cola-all", show=show, **{"with": "none"})
        shown = set(app.dataframe[0].value["text"])
        assert shown == {cell(sentence)} and not any(each.startswith("=") for each in shown)


def test_texts_that_are_there_again_are_shown_again(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of data that was mounted too late stood as missing until the server was started again."""
    from kdviz.ui.frame import examples

    run, found = Run(runs / "cola-all"), {0: Example(index=0, text_a="here", text_b=None, label=0)}

    def missing(run: Run) -> dict:
        raise RequestError("data_dir: expected a folder, got none")

    monkeypatch.setattr(examples, "_missing_texts", TTLCache(maxsize=4, ttl=0.5))
    monkeypatch.setattr(examples, "examples_of", missing)
    assert examples.texts_of(run) == {}
    monkeypatch.setattr(examples, "examples_of", lambda run: found)
    assert examples.texts_of(run) == {}, "not asked for at every click"
    time.sleep(0.6)
    assert examples.texts_of(run) == found


def test_presets_are_known_by_their_sentence_not_by_their_place(runs: Path):
    """Another version's presets stand in another order: a student's answer to one sentence was set against
    the teacher's answer to another.
    """
    before = open_page("answers", run="cola-all", show="inside", over="presets", **{"with": "cola-soft"})
    path = runs / "cola-soft" / "probes.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))
    after = open_page("answers", run="cola-all", show="inside", over="presets", **{"with": "cola-soft"})
    assert figures_of(after)[0]["data"] == figures_of(before)[0]["data"]
