"""The View: written into a link and read back; nothing from a link is believed."""

from pathlib import Path

import pytest
from folders import make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz.runs.reader import Run
from kdviz.share.view import (
    AXES,
    CELLS,
    LINK_NAMES,
    MAX_TEXT_CHARACTERS,
    OVER,
    PANELS,
    View,
    epoch_at,
    same_moment,
    step_of_epoch,
)

RUN_IDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
TEXTS = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=60
)
VIEWS = st.builds(
    View,
    run=st.none() | RUN_IDS,
    panel=st.none() | st.sampled_from(PANELS),
    others=st.none()
    | st.lists(RUN_IDS, max_size=3, unique=True).map(tuple).filter(lambda names: "none" not in names),
    step=st.none() | st.integers(0, 10**6),
    probe=st.none() | st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True),
    row=st.none() | st.integers(0, 10**6),
    text_a=TEXTS,
    text_b=st.none() | TEXTS,
    pair=st.none() | st.integers(0, 47),
    head=st.none() | st.integers(0, 47),
    hide_special=st.booleans(),
    renormalise=st.booleans(),
    threshold=st.integers(0, 50).map(lambda percent: percent / 100),
    over=st.sampled_from(OVER),
    axis=st.sampled_from(AXES),
    cell=st.sampled_from(CELLS),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return Run(make_run(tmp_path_factory.mktemp("runs"), "a-run"))


@given(view=VIEWS)
@settings(max_examples=150, deadline=None)
def test_a_link_gives_the_same_view(view: View):
    """Without it a shared link would silently open something else than what was looked at."""
    again, notices = View.from_params(view.to_params())
    assert again == view
    assert notices == []


@given(
    params=st.dictionaries(
        st.sampled_from((*LINK_NAMES, "v")),
        st.text(max_size=80),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_link_is_survived(params: dict):
    """Without it a mangled link would end in an exception instead of a notice, or slip a path or an index
    through.
    """
    view, notices = View.from_params(params)
    again, more = View.from_params(view.to_params())
    assert again == view and more == []
    assert len(notices) <= len(params)
    assert view.run is None or "/" not in view.run
    assert view.pair is None or view.pair >= 0
    assert view.head is None or view.head >= 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run", "../../etc/passwd"),
        ("run", "UPPER"),
        ("run", ""),
        ("with", "a,b,c,d,e,f"),
        ("with", "a,../b"),
        ("step", "-1"),
        ("step", "1e3"),
        ("step", "²"),
        ("preset", "a/b"),
        ("row", "3.5"),
        ("layer", "0"),
        ("layer", "one"),
        ("head", "0"),
        ("hide", "yes"),
        ("weak", "nan"),
        ("weak", "0.9"),
        ("weak", "-0"[:1]),
        ("over", "l2"),
        ("axis", "time"),
        ("cell", "<script>"),
        ("show", "x"),
        ("text", "a" * (MAX_TEXT_CHARACTERS + 1)),
    ],
)
def test_a_bad_value_is_named_and_dropped(name: str, value: str):
    """Without it a bad value would be ignored without a word, and the visitor would take the default for what
    was sent.
    """
    view, notices = View.from_params({name: value})
    assert view == View()
    assert len(notices) == 1 and f"`{name}`" in notices[0]


def test_layers_and_heads_are_one_based_in_links():
    """Without it a link would be off by one against what the screen says."""
    assert View(pair=1, head=0).to_params() == {"layer": "2", "head": "1"}
    assert View.from_params({"layer": "2", "head": "1"})[0] == View(pair=1, head=0)


def test_what_the_run_lacks_falls_back_with_a_notice(run: Run):
    """Without it an index beyond the run's layers or heads would end in an IndexError on the page."""
    asked = View(pair=9, head=9, step=7, probe="no-such", row=10**6)
    fitted, notices = asked.fit(run)
    assert fitted == View()
    assert len(notices) == 5


def test_what_the_run_has_stays(run: Run):
    """Without it a good link would lose its place."""
    asked = View(pair=1, head=2, step=8, probe="negation", row=3)
    assert asked.fit(run) == (asked, [])


def test_moments_and_epochs_of_one_run_fit_each_other(run: Run):
    """Without it maps and scores on one screen would be of different moments."""
    assert [epoch_at(run, moment.step) for moment in run.moments] == [0, 0, 1, 1, 2, 2, 3]
    assert epoch_at(run, None) == 3
    assert step_of_epoch(run, 2) == 16


def test_the_same_moment_of_a_longer_run(run: Run, tmp_path: Path):
    """Without it choosing another run would jump to another part of training."""
    longer = Run(make_run(tmp_path, "longer", epochs=6))
    assert same_moment(longer, run, 12) == 24
    assert same_moment(longer, run, None) is None
    stopped = Run(make_run(tmp_path, "stopped", epochs=2))
    as_long = Run(make_run(tmp_path, "as-long", epochs=3))
    assert same_moment(as_long, run, 12) == 12
    stopped.config["epochs"] = 3
    assert same_moment(stopped, run, 8) == 8, "the same epoch, not as far through what there is"


def test_a_second_sentence_alone_is_told_not_to_do(run: Run):
    """It was dropped without a word: a link that was cut in the middle showed another sentence."""
    view, notices = View.from_params({"text2": "the second"})
    assert view == View() and len(notices) == 1 and "`text2` was ignored" in notices[0]
    assert View.from_params({"text": "a", "text2": "b"}) == (View(text_a="a", text_b="b"), [])
