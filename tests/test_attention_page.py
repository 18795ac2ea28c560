"""The Attention page without a browser: what it draws is what the run folder holds."""

from pathlib import Path

import pytest
from folders import attention_kl, make_run, make_runs
from hostile import make_damaged
from opened import open_page, texts, use_runs
from packs import came_to_rest, pictures

from kdviz.errors import RequestError
from kdviz.runs.reader import Run
from kdviz.ui.attention import explore


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with five strategies, another task and a broken entry, and no stored demo."""
    make_runs(tmp_path / "runs")
    return use_runs(tmp_path, monkeypatch)


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


@pytest.mark.parametrize("page", ["attention", "start"])
def test_who_comes_back_finds_the_picture_where_the_link_says(runs: Path, page: str):
    """Without it a picture that is made anew would begin at the look before the one last chosen in it, under
    an address that says the one chosen.
    """
    app = open_page(page, run="cola-all")
    opened, _ = pictures(app)
    chosen = opened["look"] | {"pair": 0, "step": 0, "hide": True}
    came_to_rest(app, chosen)
    assert not app.exception and app.query_params["layer"] == app.query_params["hide"] == "1"
    here, _ = pictures(app)
    assert here["serial"] == opened["serial"], "the picture that told it would be thrown back by older news"
    app.switch_page("pages/layers.py").run()
    app.switch_page(f"pages/{page}.py").run()
    back, _ = pictures(app)
    assert back["look"] == chosen


def test_two_students_stand_beside_one_teacher(runs: Path):
    """Without it "same answer, different inside" would need two windows."""
    settings, packs = pictures(open_page("attention", run="cola-all", **{"with": "cola-soft"}))
    assert [pack.header["about"]["run"] for pack in packs] == ["cola-all", "cola-soft"]
    _, alone = pictures(open_page("attention", run="cola-all", **{"with": "mrpc-all"}))
    assert len(alone) == 1


def test_a_sentence_that_is_asked_in_full_is_not_asked_again(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """A long one of which not every moment fits, or an epoch whose weights cannot be used, had the page drawn
    every other second for as long as it was open.
    """
    run = Run(runs / "cola-all")

    def ask(run, text_a, text_b, epoch):
        if epoch == 1:
            raise RequestError("the weights of this epoch cannot be used")
        return epoch

    monkeypatch.setattr(explore, "ask_models", ask)
    monkeypatch.setattr(explore, "epochs_with_weights", lambda run: [0, 1, 2, 3])
    assert explore._answers(run, "One.", None, 3) == ({0: 0, 2: 2, 3: 3}, True)
    monkeypatch.setattr(explore, "ANSWER_SECONDS", 0)
    assert explore._answers(run, "One.", None, 3) == ({3: 3}, False)


def test_bertviz_moves_through_the_moments(runs: Path):
    """Without it the link would send another moment of training than the one in sight."""
    pytest.importorskip("bertviz", reason="the BertViz views are optional")
    app = open_page("attention", run="cola-all", show="bertviz")
    app.button(key="kdviz.back").click().run()
    assert not app.exception
    assert app.query_params["step"] == "20"


def test_bertviz_says_which_lines_are_missing_because_they_are_not_finite(runs: Path):
    """Without it a diverged student would look like one that looks at nothing, without a word."""
    pytest.importorskip("bertviz", reason="the BertViz views are optional")
    make_damaged(runs, "snapshots-nan")
    said = "not finite (the run diverged)"
    assert texts(open_page("attention", run="snapshots-nan", show="bertviz", weak="0.1")).count(said) == 1
    assert said not in texts(open_page("attention", run="cola-all", show="bertviz", weak="0.1"))


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


def test_a_run_that_one_picture_cannot_hold_is_named(runs: Path):
    """A run of another task asked for beside this one: the picture showed this one alone."""
    app = open_page("attention", run="cola-sid", **{"with": "mrpc-all"})
    assert any("`mrpc-all`" in each.value and "one picture" in each.value for each in app.info)
    app = open_page("attention", run="cola-sid", **{"with": "cola-soft"})
    assert not any("one picture" in each.value for each in app.info)


def test_two_seeds_are_told_apart_and_a_sentence_cut_otherwise_is_named(runs: Path):
    """Two students of one name and colour, or one of the two gone without a word, are each taken for what
    they are not.
    """
    make_run(runs, "seed-1", strategy="soft", seed=1)
    app = open_page("attention", run="cola-soft", **{"with": "seed-1"})
    assert "soft labels, seed 1" in app.selectbox(key="kdviz.control.beside").options
    _, packs = pictures(app)
    about = [pack.header["about"] for pack in packs]
    assert [each["name"] for each in about] == ["soft labels, seed 0", "soft labels, seed 1"]
    assert len({each["colour"] for each in about}) == 2
    probes = (("negation", "Negation", "r", "nobody has", None, 1),)
    make_run(runs, "cut", strategy="soft", seed=2, probes=probes)
    app = open_page("attention", run="cola-soft", preset="negation", **{"with": "cut"})
    assert len(pictures(app)[1]) == 1
    assert any("`cut` cut this sentence" in each.value for each in app.caption)
