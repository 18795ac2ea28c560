"""The stages of every strategy, and when a run moves up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.method.stages import Stage, StageSchedule
from kdviz.method.strategies import INTERNAL, STAGED, STRATEGIES, place_of, planned_stages


def stages(**values: object) -> list[Stage]:
    return planned_stages(RunConfig(**values))


def shapes(**values: object) -> list[tuple]:
    return [(stage.layers, stage.classification, stage.epochs) for stage in stages(**values)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_what_it_says_of_itself(name):
    """Settings without effect, the teacher's cost, forms and comparisons all go by what a strategy says."""
    strategy, found = STRATEGIES[name], stages(strategy=name, epochs=12, student_layers=3)
    assert strategy.name == name and all((strategy.title, strategy.words, strategy.trained_on))
    assert strategy.uses_internal_terms == any(stage.layers for stage in found) == (name in INTERNAL)
    assert strategy.uses_teacher == any(stage.layers or "soft" in stage.classification for stage in found)
    slower = stages(strategy=name, epochs=12, student_layers=3, epochs_per_layer=1)
    assert strategy.is_staged == (slower != found) == (name in STAGED)


def test_strategies_have_an_order_for_screens_and_one_for_who_speaks_for_all():
    """Legends and tables would change places between versions, and a lecture's "internal" would mean
    another one.
    """
    assert list(STRATEGIES) == ["hard", "soft", "all", "pid", "sid"]
    assert INTERNAL == ("all", "sid", "pid") and STAGED == ("pid", "sid")
    assert sorted(["sid", "of another version", "hard"], key=place_of) == [
        "hard",
        "sid",
        "of another version",
    ]


def test_strategies_without_stages_have_one():
    """A strategy with a wrong term in its only stage would be compared under a name that is not its own."""
    assert shapes(strategy="hard", epochs=5) == [((), "hard", 5)]
    assert shapes(strategy="soft", epochs=5) == [((), "soft", 5)]
    assert shapes(strategy="all", epochs=5, student_layers=3) == [((0, 1, 2), "soft", 5)]


def test_pid_has_one_internal_layer_at_a_time_then_only_classification():
    """Two layers at once in pid is sid: the paper's comparison of the two would compare nothing."""
    assert shapes(strategy="pid", epochs=8, student_layers=3) == [
        ((0,), "none", 2),
        ((1,), "none", 2),
        ((2,), "none", 2),
        ((), "soft", 2),
    ]


def test_sid_stacks_layers_then_only_classification():
    """Algorithm 1: pair 1, then 1+2, then 1+2+3; the last stage has no internal term."""
    assert shapes(strategy="sid", epochs=8, student_layers=3) == [
        ((0,), "none", 2),
        ((0, 1), "none", 2),
        ((0, 1, 2), "none", 2),
        ((), "soft", 2),
    ]


def test_the_papers_split_of_fifty_epochs():
    """A classification stage that is too short was why a public re-implementation got weak results."""
    found = stages(strategy="sid", epochs=50, student_layers=6)
    assert [stage.epochs for stage in found] == [7] * 6 + [8]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(STAGED), st.integers(1, 12), st.integers(0, 60), st.one_of(st.none(), st.integers(1, 5))
)
def test_planned_epochs_add_up_and_every_stage_gets_some(strategy, layers, extra, each):
    """A lost or doubled epoch shifts the learning-rate schedule of the whole run; an empty stage would never
    end.
    """
    epochs = layers * (each or 1) + 1 + extra
    found = stages(strategy=strategy, student_layers=layers, epochs=epochs, epochs_per_layer=each)
    assert sum(stage.epochs for stage in found) == epochs and all(stage.epochs >= 1 for stage in found)
    assert len(found) == layers + 1 and not found[-1].layers and found[-1].classification == "soft"
    if each:
        assert all(stage.epochs == each for stage in found[:-1])


@pytest.mark.parametrize("strategy", STAGED)
def test_soft_throughout_and_hard_labels(strategy):
    """Rows of the paper's ablation: soft labels in every stage, hard labels with weight λ beside them."""
    kinds = [
        stage.classification
        for stage in stages(strategy=strategy, epochs=8, student_layers=3, soft_throughout=True)
    ]
    assert kinds == ["soft"] * 4
    kinds = [
        stage.classification
        for stage in stages(
            strategy=strategy, epochs=8, student_layers=3, soft_throughout=True, hard_labels=True
        )
    ]
    assert kinds == ["soft+hard"] * 4
    kinds = [
        stage.classification
        for stage in stages(strategy=strategy, epochs=8, student_layers=3, hard_labels=True)
    ]
    assert kinds == ["none"] * 3 + ["soft+hard"], "labels do not leak into internal stages"
    assert shapes(strategy="soft", epochs=2, hard_labels=True) == [((), "soft+hard", 2)]


def test_active_pairs_choose_the_layers():
    """Distilling only the last pair is a claim of later work: with all pairs active it could not be
    tested.
    """
    assert shapes(strategy="all", epochs=4, student_layers=3, active_pairs=(2,)) == [((2,), "soft", 4)]
    assert shapes(strategy="sid", epochs=6, student_layers=3, active_pairs=(2, 0)) == [
        ((0,), "none", 2),
        ((0, 2), "none", 2),
        ((), "soft", 2),
    ]
    assert shapes(strategy="pid", epochs=4, student_layers=3, active_pairs=(1,)) == [
        ((1,), "none", 2),
        ((), "soft", 2),
    ]


def test_freezing_finished_layers():
    """A layer is finished when its loss is dropped: in pid with every move, in sid only in the last stage."""
    assert [
        stage.frozen_below
        for stage in stages(strategy="pid", epochs=8, student_layers=3, freeze_finished=True)
    ] == [0, 1, 2, 3]
    assert [
        stage.frozen_below
        for stage in stages(strategy="sid", epochs=8, student_layers=3, freeze_finished=True)
    ] == [0, 0, 0, 3]
    assert [
        stage.only_classifier
        for stage in stages(strategy="sid", epochs=8, student_layers=3, classifier_only_last=True)
    ] == [False, False, False, True]
    some = stages(strategy="pid", epochs=8, student_layers=4, active_pairs=(0, 2), freeze_finished=True)
    assert [stage.frozen_below for stage in some] == [0, 1, 3]
    for strategy in STRATEGIES:
        for stage in stages(strategy=strategy, epochs=8, student_layers=3):
            assert stage.frozen_below == 0 and not stage.only_classifier, "nothing is frozen unasked"


def test_too_few_epochs_are_refused_with_the_number_needed():
    """Otherwise the last stage would silently get none, and the student would never see the task."""
    with pytest.raises(RequestError, match="at least 4, got 3") as caught:
        RunConfig(strategy="sid", student_layers=3, epochs=3)
    assert caught.value.field == "epochs"
    RunConfig(strategy="sid", student_layers=3, epochs=4)


def test_a_stage_moves_up_after_its_epochs():
    """An epoch too many in one stage takes one from the last."""
    schedule = StageSchedule(stages(strategy="pid", epochs=7, student_layers=2, epochs_per_layer=2), None)
    seen = []
    for _ in range(7):
        seen.append(schedule.index)
        schedule.epoch_ended(0.0)
    assert seen == [0, 0, 1, 1, 2, 2, 2]


def test_a_threshold_moves_up_early_and_the_last_stage_gets_the_saved_epochs():
    """Without it the paper's second criterion would be a setting that does nothing."""
    schedule = StageSchedule(stages(strategy="sid", epochs=10, student_layers=2, epochs_per_layer=4), 0.1)
    distances, seen = [0.3, 0.09, 0.2, 0.1, 0.05, None, None, None, None, None], []
    for distance in distances:
        seen.append(schedule.index)
        schedule.epoch_ended(distance)
    assert seen == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2], "0.1 is not below 0.1"
