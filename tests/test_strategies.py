"""The stages of every strategy, what each may touch, and when a run moves up."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from kdviz.config import RunConfig
from kdviz.data.encoded import Tokenizer
from kdviz.data.examples import Example
from kdviz.errors import RequestError
from kdviz.method.objective import Terms
from kdviz.method.stages import Stage, StageSchedule
from kdviz.method.strategies import INTERNAL, STAGED, STRATEGIES, place_of, planned_stages
from kdviz.method.targets import stage_needs
from kdviz.models.build import build_student, load_classifier
from kdviz.models.matching import match_layers
from kdviz.models.trace import seed_dropout
from kdviz.training.optimise import make_optimizer, optimizer_step
from kdviz.training.step import set_trainable, step_terms
from kdviz.training.teacher_outputs import LiveOutputs


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


@pytest.fixture(scope="module")
def world(tiny_checkpoint: Path):
    """A teacher of 4 layers, 3 matched pairs, and a batch."""
    texts = (
        "The dog sees the cat.",
        "Yes.",
        "Again and again the old horse near the river likes the artist.",
        "The child helps the lawyer today.",
    )
    encoded = Tokenizer(tiny_checkpoint, 32).encode_set(
        [
            Example(index=number, text_a=text, text_b=None, label=number % 2)
            for number, text in enumerate(texts)
        ]
    )
    teacher = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    return (
        teacher,
        load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(1)),
        encoded.batch(np.arange(4)),
        match_layers("uniform", 3, 4),
    )


def make_student(world):
    teacher, source, _, pairs = world
    student = build_student(
        init="random", pairs=pairs, teacher=teacher, source=source, generator=torch.Generator().manual_seed(4)
    )
    generator = torch.Generator()
    seed_dropout(student, generator)
    return student.train(), generator


def one_step(world, student, generator, stage: Stage, config: RunConfig) -> Terms:
    teacher, _, batch, pairs = world
    set_trainable(student, stage)
    outputs = LiveOutputs(teacher, "live").gather(batch, stage_needs(stage, pairs, config))
    generator.manual_seed(0)
    terms = step_terms(
        student, batch, outputs, stage=stage, pairs=pairs, settings=config, generator=generator
    )
    terms.total.backward()
    return terms


VARIANTS = [
    dict(strategy="hard"),
    dict(strategy="soft"),
    dict(strategy="soft", hard_labels=True),
    dict(strategy="all"),
    dict(strategy="all", terms=("kl",)),
    dict(strategy="all", terms=("cos",)),
    dict(strategy="all", hard_labels=True, active_pairs=(2,)),
    dict(strategy="pid"),
    dict(strategy="pid", freeze_finished=True),
    dict(strategy="pid", classifier_only_last=True, terms=("kl",), cosine_threshold=0.1),
    dict(strategy="pid", soft_throughout=True, terms=("cos",)),
    dict(strategy="sid"),
    dict(strategy="sid", soft_throughout=True, hard_labels=True),
    dict(strategy="sid", freeze_finished=True, active_pairs=(0, 1)),
    dict(strategy="sid", classifier_only_last=True, cosine_threshold=0.1),
]


def group_of(name: str) -> int | str:
    """embeddings, a layer's number, or head (pooler and classifier)."""
    if "encoder.layer." in name:
        return int(name.split("encoder.layer.")[1].split(".")[0])
    return "embeddings" if "embeddings" in name else "head"


def allowed_groups(stage: Stage) -> set[int | str]:
    """What the description of a stage lets a step change, written independently of set_trainable."""
    below = {"embeddings", *range(stage.num_layers_needed(3))}
    groups = below | {"head"} if stage.classification != "none" else below
    if stage.frozen_below:
        groups -= {"embeddings", *range(stage.frozen_below)}
    return {"head"} if stage.only_classifier else groups


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
def test_every_stage_has_exactly_its_terms_and_touches_only_what_it_may(world, variant):
    """A term counted twice or missing, or a layer that moves while it should not, changes results and nothing
    else.
    """
    config = RunConfig(**{"epochs": 8, "student_layers": 3, **variant})
    student, generator = make_student(world)
    optimizer = make_optimizer(student, learning_rate=1e-3, weight_decay=0.01)
    for stage in planned_stages(config):
        before = {name: parameter.detach().clone() for name, parameter in student.named_parameters()}
        terms = one_step(world, student, generator, stage, config)
        assert set(terms.internal.get("attention_kl", ())) == (
            set(stage.layers) if "kl" in config.terms else set()
        )
        assert set(terms.internal.get("cls_distance", ())) == (
            set(stage.layers) if "cos" in config.terms else set()
        )
        assert ("soft" in terms.classification) == ("soft" in stage.classification) and (
            "hard" in terms.classification
        ) == ("hard" in stage.classification)
        optimizer_step(optimizer, student.parameters(), learning_rate=1e-3, max_grad_norm=1.0)
        touched = {
            group_of(name)
            for name, parameter in student.named_parameters()
            if not torch.equal(parameter, before[name])
        }
        assert touched == allowed_groups(stage), stage.name
        assert all(torch.isfinite(parameter).all() for parameter in student.parameters())


def test_the_total_is_the_weighted_sum_of_the_named_terms(world):
    """The paper's total is a plain sum; a weight applied to the wrong term would be found by nobody."""
    weights = dict(soft_weight=2.0, hard_weight=0.25, kl_weight=3.0, cos_weight=5.0)
    for extra, factors in ((weights, (2.0, 0.25, 3.0, 5.0)), ({}, (1.0, 0.1, 1.0, 1.0))):
        config = RunConfig(strategy="all", student_layers=3, hard_labels=True, **extra)
        student, generator = make_student(world)
        terms = one_step(world, student, generator, planned_stages(config)[0], config)
        soft, hard, kl, cos = factors
        expected = (
            soft * terms.classification["soft"]
            + hard * terms.classification["hard"]
            + kl * sum(terms.internal["attention_kl"].values())
            + cos * sum(terms.internal["cls_distance"].values())
        )
        assert terms.total.item() == pytest.approx(expected.item(), rel=1e-6)
    config = RunConfig(strategy="hard", student_layers=3, hard_weight=0.25)
    terms = one_step(world, *make_student(world), planned_stages(config)[0], config)
    assert terms.total.item() == terms.classification["hard"].item(), (
        "λ is for hard labels beside soft ones; alone they count in full"
    )


def test_kl_terms_equal_scipy_on_eval_maps(world):
    """The whole way from text to loss once by hand: a wrong pair or layer offset gives another, equally
    smooth, curve.
    """
    teacher, source, batch, pairs = world
    student = build_student(
        init="random", pairs=pairs, teacher=teacher, source=source, generator=torch.Generator().manual_seed(4)
    )
    config = RunConfig(strategy="all", student_layers=3)
    stage = planned_stages(config)[0]
    outputs = LiveOutputs(teacher, "live").gather(batch, stage_needs(stage, pairs, config))
    terms = step_terms(student, batch, outputs, stage=stage, pairs=pairs, settings=config)
    from kdviz.models.trace import trace

    with torch.no_grad():
        teacher_maps, student_maps = (
            trace(model, *batch.inputs, record=range(len(model.bert.encoder.layer))).log_probs
            for model in (teacher, student)
        )
    assert pairs == ((0, 0), (1, 1), (2, 3))
    for own, other in pairs:
        examples = []
        for row, length in enumerate(batch.attention_mask.sum(1).tolist()):
            p, q = (
                maps[layer][row, :, :length, :length].exp().double().numpy()
                for maps, layer in ((teacher_maps, other), (student_maps, own))
            )
            examples.append(rel_entr(p, q).sum(-1).mean())
        assert terms.internal["attention_kl"][own].item() == pytest.approx(np.mean(examples), rel=1e-4)


@pytest.mark.parametrize("strategy", ["all", "pid", "sid"])
def test_steps_in_train_mode_stay_finite_with_dropout_on(world, strategy):
    """KL on transformers' own train-mode maps is NaN from the first step; a mask or dropout slip brings it
    back.
    """
    config = RunConfig(strategy=strategy, epochs=8, student_layers=3)
    student, generator = make_student(world)
    optimizer = make_optimizer(student, learning_rate=1e-3, weight_decay=0.0)
    assert student.training and any(getattr(module, "p", 0) for module in student.modules())
    for stage in planned_stages(config):
        for _ in range(4):
            terms = one_step(world, student, generator, stage, config)
            assert torch.isfinite(terms.total)
            assert all(
                torch.isfinite(parameter.grad).all()
                for parameter in student.parameters()
                if parameter.grad is not None
            )
            optimizer_step(optimizer, student.parameters(), learning_rate=1e-3, max_grad_norm=1.0)


@pytest.mark.parametrize(
    "variant", [dict(), dict(terms=("kl",)), dict(terms=("cos",)), dict(terms=("kl",), cosine_threshold=0.2)]
)
def test_the_teacher_is_asked_only_what_a_stage_reads(world, variant):
    """Running twelve layers where two are needed makes early stages several times slower, without a sign."""
    config = RunConfig(strategy="pid", epochs=8, student_layers=3, **variant)
    first, *_, last = planned_stages(config)
    needs = stage_needs(first, world[3], config)
    assert needs.num_layers == 1 and not needs.logits
    assert needs.layers("maps") == (frozenset({0}) if "kl" in config.terms else frozenset())
    assert needs.layers("cls") == (
        frozenset({0}) if "cos" in config.terms or config.cosine_threshold else frozenset()
    )
    needs = stage_needs(last, world[3], config)
    assert needs.logits and needs.num_layers == 0


def test_means_of_steps_are_plain_means(world):
    """Train lines carry means over steps: a sum, or terms of another stage mixed in, would draw a wrong
    curve.
    """
    config = RunConfig(strategy="all", student_layers=3, hard_labels=True)
    student, generator = make_student(world)
    found = [
        one_step(world, student, generator, planned_stages(config)[0], config).detached() for _ in range(2)
    ]
    found[1].total = found[1].total + 2
    means = Terms.means(found)
    assert means["total"] == pytest.approx((found[0].total + found[1].total).item() / 2)
    assert set(means) == {"total", "soft", "hard", "attention_kl", "cls_distance"} and set(
        means["attention_kl"]
    ) == {"0", "1", "2"}
    assert "soft" not in Terms.means(
        [
            one_step(
                world, student, generator, Stage(layers=(1,), classification="none", epochs=1), config
            ).detached()
        ]
    ), "absent, not 0"
