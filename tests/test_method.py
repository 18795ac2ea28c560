"""Stages, needs and objective against their definitions, without a model: what is wanted, and what is added
up.
"""

import itertools

import pytest
import torch
from needs import needs_of

from kdviz.config import RunConfig
from kdviz.method import losses
from kdviz.method.objective import Terms, form_terms
from kdviz.method.stages import Stage, StageSchedule
from kdviz.method.strategies import STRATEGIES, planned_stages
from kdviz.method.targets import (
    MOST_LABELS,
    Answers,
    Needs,
    active_pairs,
    compares_vectors,
    stage_needs,
    student_needs,
    training_needs,
)
from kdviz.method.terms import TERMS, measured_terms, recorded_terms

PAIRS = ((0, 1), (1, 3), (2, 5))
READINGS = {"kl": "maps", "cos": "cls", "value_relation": "values"}


def variants(strategy: str, **values: object) -> list[RunConfig]:
    """Settings of a strategy: its terms, thresholds, pairs and labels in every combination."""
    return [
        config_of(
            strategy=strategy,
            terms=terms,
            cosine_threshold=threshold,
            active_pairs=active,
            **labels,
            **values,
        )
        for terms, threshold, active, labels in itertools.product(
            (("kl",), ("cos",), ("kl", "cos"), ("value_relation",)),
            (None, 0.1),
            (None, (0, 2)),
            (dict(), dict(hard_labels=True), dict(soft_throughout=True)),
        )
    ]


def config_of(**values: object) -> RunConfig:
    return RunConfig(epochs=12, student_layers=3, **values)


def answers(seed: int, layers: range, mask: torch.Tensor) -> Answers:
    """What a model of random numbers answers to two examples: everything that a term reads."""
    made = torch.Generator().manual_seed(seed)
    padded = ~mask.bool()[:, None, None, :]

    def maps() -> torch.Tensor:
        scores = torch.randn(2, 2, 4, 4, generator=made)
        return scores.masked_fill(padded, -torch.inf).log_softmax(-1)

    return Answers(
        logits=torch.randn(2, 3, generator=made),
        readings={
            "maps": {layer: maps() for layer in layers},
            "cls": {layer: torch.randn(2, 8, generator=made) for layer in layers},
            "values": {layer: maps() for layer in layers},
        },
    )


MASK, LABELS = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]), torch.tensor([2, 0])
TEACHER, STUDENT = answers(0, range(6), MASK), answers(1, range(3), MASK)
LOSSES = {
    "kl": lambda one, other: losses.attention_kl(one, other, MASK),
    "cos": losses.cls_distance,
    "value_relation": lambda one, other: losses.attention_kl(one, other, MASK),
}


def formed(stage: Stage, config: RunConfig, teacher: Answers = TEACHER) -> Terms:
    return form_terms(
        teacher=teacher,
        student=STUDENT,
        labels=LABELS,
        mask=MASK,
        stage=stage,
        pairs=PAIRS,
        settings=config,
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_minimises_the_weighted_sum_of_its_stages_terms(strategy):
    """Eq. 1 and its stages: a term twice, with another's weight, or of another pair trains something else."""
    weights = dict(soft_weight=2.0, hard_weight=0.25, kl_weight=3.0, cos_weight=5.0, temperature=1.5)
    for config in variants(strategy, **weights):
        for stage in planned_stages(config):
            terms = formed(stage, config)
            expected, internal = torch.zeros(()), {}
            for name in config.terms:
                key, reading, loss = TERMS[name].key, READINGS[name], LOSSES[name]
                for student_layer, teacher_layer in PAIRS:
                    if student_layer in stage.layers:
                        value = loss(
                            TEACHER.reading(reading)[teacher_layer], STUDENT.reading(reading)[student_layer]
                        )
                        internal.setdefault(key, {})[student_layer] = value
                        expected = expected + config.weight_of(name) * value
            soft = losses.soft_label_loss(TEACHER.logits, STUDENT.logits, 1.5)
            hard = losses.hard_label_loss(STUDENT.logits, LABELS)
            parts = {"none": {}, "soft": {"soft": soft}, "hard": {"hard": hard}}
            parts["soft+hard"] = {"soft": soft, "hard": hard}
            factors = {"soft": 2.0, "hard": 1.0 if stage.classification == "hard" else 0.25}
            expected = expected + sum(
                factors[name] * value for name, value in parts[stage.classification].items()
            )
            torch.testing.assert_close(terms.total, expected)
            assert terms.classification == parts[stage.classification]
            assert terms.internal.keys() == internal.keys()
            for key, by_layer in internal.items():
                assert terms.internal[key].keys() == by_layer.keys()
                assert all(torch.equal(terms.internal[key][layer], by_layer[layer]) for layer in by_layer)


@pytest.mark.parametrize("terms", [("kl",), ("cos",), ("kl", "cos")])
def test_a_threshold_watches_the_newest_layer(terms):
    """Another layer's distance, or none, moves a run up too early or never."""
    config = config_of(strategy="sid", terms=terms, cosine_threshold=0.1)
    for stage in planned_stages(config):
        newest = formed(stage, config).newest_cls_distance
        if not stage.layers:
            assert newest is None
            continue
        teacher_layer = dict(PAIRS)[max(stage.layers)]
        expected = losses.cls_distance(
            TEACHER.reading("cls")[teacher_layer], STUDENT.reading("cls")[max(stage.layers)]
        )
        assert torch.equal(newest, expected)
    backwards = form_terms(
        teacher=TEACHER,
        student=STUDENT,
        labels=LABELS,
        mask=MASK,
        stage=planned_stages(config)[2],
        pairs=PAIRS[::-1],
        settings=config,
    )
    assert torch.equal(
        backwards.newest_cls_distance, formed(planned_stages(config)[2], config).newest_cls_distance
    )
    blind = Answers(logits=TEACHER.logits, readings={"maps": TEACHER.readings["maps"]})
    assert formed(planned_stages(config)[0], config_of(terms=("kl",)), blind).newest_cls_distance is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_needs_are_what_the_terms_read_and_no_more(strategy):
    """What is missing is an error in the middle of a run; what is too much is computed, and kept on disk, for
    nothing.
    """
    for config in variants(strategy):
        stages = planned_stages(config)
        everything: set[tuple[str, int]] = set()
        for stage in stages:
            wanted = stage_needs(stage, PAIRS, config)
            teacher_layers = [dict(PAIRS)[layer] for layer in stage.layers]
            readings = {(READINGS[name], layer) for name in config.terms for layer in teacher_layers}
            if config.cosine_threshold and stage.layers:
                readings.add(("cls", dict(PAIRS)[max(stage.layers)]))
            assert wanted.readings == readings
            assert wanted.logits == ("soft" in stage.classification)
            own = student_needs(stage, config)
            assert own.logits == (stage.classification != "none")
            assert own.readings == {
                (reading, layer)
                for layer in stage.layers
                for reading in {"cls", *(READINGS[name] for name in config.terms)}
            }
            assert own.num_layers == (max(stage.layers) + 1 if stage.layers else 0)
            everything |= readings
        wanted = training_needs(config, PAIRS)
        assert wanted.logits == any("soft" in stage.classification for stage in stages)
        assert wanted.readings == everything


def test_needs_by_reading_and_layer():
    """A layer too few, and what is read of it is not there."""
    needs = needs_of(cls=[1], maps=range(3))
    assert needs.logits and Needs().logits and not needs_of(logits=False).logits
    assert needs.layers("maps") == {0, 1, 2} and needs.layers("cls") == {1} and needs.layers("x") == set()
    assert needs.num_layers == 3 and needs_of(maps=[4]).num_layers == 5 and Needs().num_layers == 0
    with pytest.raises(ValueError, match="expected logits, got none"):
        _ = Answers().known_logits
    assert Answers(logits=LABELS).known_logits is LABELS and Answers().reading("maps") == {}


def test_needs_are_counted_as_large_as_their_answers():
    """Counted too small, kept outputs would fill the memory that they were to fit in; too large, they would
    be made anew in every step.
    """
    asked, maps, vectors, logits = dict(maps=[0, 2], cls=[1, 2, 3]), 2 * 50, 3 * 3 * 7, 3 * MOST_LABELS
    for needs, num in (
        (needs_of(**asked), maps + vectors + logits),
        (needs_of(logits=False, **asked), maps + vectors),
        (Needs(), logits),
    ):
        assert needs.num_values(3, num_cells=50, width=7) == num


def test_pairs_whose_vectors_are_compared_need_one_width():
    """A narrower student would be refused for nothing, or fail at its first step."""
    for strategy, terms, threshold, expected in (
        ("all", ("cos",), None, True),
        ("all", ("kl", "cos"), None, True),
        ("all", ("kl",), None, False),
        ("sid", ("kl",), 0.1, True),
        ("soft", ("cos",), 0.1, False),
    ):
        config = config_of(strategy=strategy, terms=terms, cosine_threshold=threshold)
        assert compares_vectors(config) is expected
    assert active_pairs(Stage(layers=(0, 2), classification="none", epochs=1), PAIRS) == ((0, 1), (2, 5))


def test_a_stage_says_what_it_is():
    """Plans, pages and files name stages by this; layers are 1-based for people and 0-based in files."""
    kinds = {"none": "", "soft": "soft labels", "hard": "hard labels", "soft+hard": "soft and hard labels"}
    for (layers, words), (kind, label) in itertools.product(
        (((), ""), ((1,), "layer 2"), ((0, 2), "layers 1 + 3")), kinds.items()
    ):
        stage = Stage(layers=layers, classification=kind, epochs=4)
        assert stage.name == " and ".join(filter(None, (words, label)))
        assert stage.for_metrics() == {"layers": list(layers), "classification": kind}
        assert stage.newest_layer == (max(layers) if layers else None)
        if layers or kind != "none":
            assert stage.num_layers_needed(3) == (3 if kind != "none" else max(layers) + 1)
        assert stage.to_dict() == {
            "name": stage.name,
            "layers": list(layers),
            "classification": kind,
            "epochs": 4,
            "frozen_below": 0,
            "only_classifier": False,
        }


def test_a_schedule_goes_on_from_where_it_stood():
    """A resumed run must move up after the epochs that an unbroken one does, and never beyond its last
    stage.
    """
    stages = planned_stages(config_of(strategy="sid", epochs_per_layer=3))
    for done in range(12):
        unbroken = StageSchedule(stages, 0.2)
        moves = [unbroken.epoch_ended(0.5) for _ in range(done)]
        resumed = StageSchedule(stages, 0.2, index=unbroken.index, epochs_in_stage=unbroken.epochs_in_stage)
        assert sum(moves) == unbroken.index == min(done // 3, 3)
        assert unbroken.epochs_in_stage == done - 3 * unbroken.index and resumed.current is unbroken.current
        assert resumed.epoch_ended(0.5) is unbroken.epoch_ended(0.5)
    last = StageSchedule(stages, 0.2, index=3)
    assert not any(last.epoch_ended(0.0) for _ in range(20)) and last.index == 3
    assert StageSchedule(stages, 0.2).epoch_ended(0.1) and not StageSchedule(stages, 0.2).epoch_ended(0.2)
    assert not StageSchedule(stages, None).epoch_ended(0.0)
    assert not StageSchedule(stages, 0.2).epoch_ended(None)


def test_terms_by_name_and_without_their_graph():
    """Train lines are made of these: a name that is lost is a curve that is not there, and a graph that is
    kept is memory that grows with every step.
    """
    config = config_of(strategy="all", hard_labels=True)
    weight = torch.ones((), requires_grad=True)
    student = Answers(
        logits=STUDENT.logits * weight,
        readings={
            name: {layer: (value * weight).nan_to_num(neginf=-torch.inf) for layer, value in by_layer.items()}
            for name, by_layer in STUDENT.readings.items()
        },
    )
    [stage] = planned_stages(config)
    terms = form_terms(
        teacher=TEACHER,
        student=student,
        labels=LABELS,
        mask=MASK,
        stage=stage,
        pairs=PAIRS,
        settings=config,
    )
    assert all(value.requires_grad for value in (*terms.named().values(), terms.newest_cls_distance))
    alone = terms.detached()
    assert not any(value.requires_grad for value in (*alone.named().values(), alone.newest_cls_distance))
    assert {name: value.item() for name, value in alone.named().items()} == {
        name: value.item() for name, value in terms.named().items()
    }
    assert set(alone.named()) == {("total", None), ("soft", None), ("hard", None)} | {
        (key, layer) for key in ("attention_kl", "cls_distance") for layer in range(3)
    }
    assert torch.equal(alone.newest_cls_distance, terms.newest_cls_distance)
    assert Terms(total=torch.zeros(())).detached().newest_cls_distance is None
    assert Terms.means([alone])["total"] == pytest.approx(alone.total.item()), "a stage may have one step"
    twice = Terms.means([alone, alone])
    assert twice["total"] == pytest.approx(alone.total.item())
    assert twice["attention_kl"] == pytest.approx(
        {str(layer): value.item() for layer, value in alone.internal["attention_kl"].items()}
    )


def test_an_evaluation_measures_the_papers_terms_and_what_is_asked():
    """Two runs could not be compared if each measured only what it trained."""
    assert [term.name for term in measured_terms()] == ["kl", "cos"]
    keys = {"kl": "attention_kl", "cos": "cls_distance", "value_relation": "value_relation"}
    assert {name: term.key for name, term in TERMS.items()} == keys, "their names in files"
    assert {term.name for term in measured_terms(("value_relation",))} == set(TERMS)


def test_a_further_term_is_known_by_its_numbers_in_any_line():
    """The value relation has a curve and a column where a run measured it, and nowhere else."""
    paper, none = {"mismatch": {"attention_kl": [0.1], "cls_distance": [0.2]}}, {"mismatch": None}
    further = {"mismatch": {**paper["mismatch"], "value_relation": [0.3]}}
    assert recorded_terms([paper, none, {}]) == recorded_terms([]) == []
    assert recorded_terms(iter([paper, further, none])) == [TERMS["value_relation"]]
