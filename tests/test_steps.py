"""A step of every stage: its terms, what it may touch, and what it asks of the teacher."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from kdviz.config import RunConfig
from kdviz.data.encoded import Tokenizer
from kdviz.data.examples import Example
from kdviz.method.objective import Terms
from kdviz.method.stages import Stage
from kdviz.method.strategies import planned_stages
from kdviz.method.targets import stage_needs
from kdviz.models.build import build_student, load_classifier
from kdviz.models.matching import match_layers
from kdviz.models.trace import seed_dropout
from kdviz.training.optimise import make_optimizer, optimizer_step
from kdviz.training.step import set_trainable, step_terms
from kdviz.training.teacher_outputs import LiveOutputs


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
