"""The loss terms against scipy, and their properties: 0 at identity, blind to padding and to how a set is
batched.
"""

import doctest
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from scipy.special import log_softmax, rel_entr, softmax
from torch.nn import functional

from kdviz.method import losses

BATCH, HEADS, SEQ = 5, 3, 7


def random_maps(seed: int, lengths: list[int], width: int, heads: int = HEADS) -> torch.Tensor:
    """Attention log-probabilities (batch, heads, width, width); padded keys −inf, padded query rows
    arbitrary.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(len(lengths), heads, width, width, generator=generator)
    for row, length in enumerate(lengths):
        scores[row, :, :, length:] = -torch.inf
    return functional.log_softmax(scores, dim=-1)


def mask_of(lengths: list[int], width: int) -> torch.Tensor:
    return (torch.arange(width) < torch.tensor(lengths)[:, None]).long()


LENGTHS = [7, 4, 2, 7, 1]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return random_maps(0, LENGTHS, SEQ), random_maps(1, LENGTHS, SEQ), mask_of(LENGTHS, SEQ)


def reference_kl(teacher: torch.Tensor, student: torch.Tensor, lengths: list[int]) -> float:
    """Eq. 2 by scipy, one row of one head at a time, on the unpadded part; mean over rows, heads,
    examples.
    """
    examples = []
    for number, length in enumerate(lengths):
        rows = [
            rel_entr(
                np.exp(teacher[number, head, row, :length].double().numpy()),
                np.exp(student[number, head, row, :length].double().numpy()),
            ).sum()
            for head in range(teacher.shape[1])
            for row in range(length)
        ]
        examples.append(np.mean(rows))
    return float(np.mean(examples))


def test_attention_kl_is_scipys_relative_entropy_in_nats(maps):
    """Cross-entropy, the other direction, or bits instead of nats would all train and plot, with other
    numbers than the paper's.
    """
    teacher, student, mask = maps
    expected = reference_kl(teacher, student, LENGTHS)
    assert losses.attention_kl(teacher, student, mask).item() == pytest.approx(expected, rel=1e-5)
    assert abs(losses.attention_kl(student, teacher, mask).item() - expected) > 1e-3, (
        "the teacher comes first"
    )


def test_attention_kl_is_zero_at_identity(maps):
    """A loss with a floor above 0 (cross-entropy called KL) makes a perfect student look imperfect."""
    teacher, _, mask = maps
    assert losses.attention_kl(teacher, teacher.clone(), mask).item() == 0.0
    assert (
        losses.attention_kl(
            teacher, (teacher + 0.1 * torch.randn(teacher.shape)).log_softmax(-1), mask
        ).item()
        > 1e-4
    )


def test_attention_kl_per_head_has_the_same_mean_and_keeps_heads_apart(maps):
    """Averaging maps over heads before the KL hides heads that differ; the paper compares every head."""
    teacher, student, mask = maps
    per_head = losses.attention_kl_per_head(teacher, student, mask)
    assert per_head.shape == (BATCH, HEADS)
    assert per_head.mean().item() == pytest.approx(
        losses.attention_kl(teacher, student, mask).item(), rel=1e-6
    )
    one = losses.attention_kl_per_head(teacher[:, 1:2], student[:, 1:2], mask)
    assert torch.allclose(per_head[:, 1:2], one, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 5), st.integers(0, 99))
def test_attention_kl_does_not_see_padding(lengths, extra, seed):
    """With padding in the mean, the curve of a run would depend on the longest sentence that happens to share
    a batch.
    """
    width = max(lengths)
    teacher, student = random_maps(seed, lengths, width), random_maps(seed + 1, lengths, width)
    expected = losses.attention_kl_per_head(teacher, student, mask_of(lengths, width))
    wide = [torch.full((len(lengths), HEADS, width + extra, width + extra), -torch.inf) for _ in range(2)]
    for source, target in zip((teacher, student), wide):
        target[:, :, :width, :width] = source
        # Padded query rows attend to something too: here to the first key, and differently on the two sides.
        target[:, :, width:, 0] = 0.0 if source is teacher else -5.0
    found = losses.attention_kl_per_head(*wide, mask_of(lengths, width + extra))
    assert torch.allclose(found, expected, atol=1e-6)


def test_attention_kl_ignores_what_padded_query_rows_attend_to(maps):
    """Others counted padded query rows: their KL then measures how many padding tokens a batch had."""
    teacher, student, mask = maps
    expected = losses.attention_kl(teacher, student, mask)
    changed = student.clone()
    changed[1, :, 4:, :4] = torch.randn(HEADS, 3, 4).log_softmax(-1)
    assert losses.attention_kl(teacher, changed, mask).item() == expected.item()


def test_an_example_of_padding_alone_is_none(maps):
    """A batch filled up to a fixed size by whoever calls this would have no KL at all."""
    teacher, student, mask = maps
    expected = losses.attention_kl(teacher, student, mask).item()
    more = [torch.cat([side, torch.zeros_like(side[:2])]) for side in (teacher, student)]
    assert losses.attention_kl(*more, torch.cat([mask, torch.zeros_like(mask[:2])])).item() == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("padded", [-torch.inf, -1e9, torch.finfo(torch.float32).min, 0.0])
def test_attention_kl_takes_any_filling_of_padded_keys(maps, padded):
    """Libraries fill padded keys with −inf, −1e9 or the smallest float: NaN or a huge KL for some of them
    would be silent here.
    """
    teacher, student, mask = maps
    expected = losses.attention_kl(teacher, student, mask).item()
    keys = ~mask.bool()[:, None, None, :].expand_as(teacher)
    assert losses.attention_kl(
        teacher.masked_fill(keys, padded), student.masked_fill(keys, padded), mask
    ).item() == pytest.approx(expected, rel=1e-6)


def test_attention_kl_of_probability_zero_is_zero(maps):
    """0 · log 0 is 0 by the definition; in floating point it is NaN, which would end a run or leave a hole in
    a curve.
    """
    teacher = torch.tensor([1.0, 0.0]).log().expand(1, 1, 2, 2)
    student = torch.tensor([0.5, 0.5]).log().expand(1, 1, 2, 2)
    mask = torch.ones(1, 2, dtype=torch.long)
    assert losses.attention_kl(teacher, student, mask).item() == pytest.approx(math.log(2))
    assert losses.attention_kl(teacher, teacher, mask).item() == 0.0
    assert losses.attention_kl(student, teacher, mask).item() == math.inf, (
        "the student excludes what the teacher sees"
    )


def test_attention_kl_does_not_hide_a_broken_teacher(maps):
    """Skipping NaN would turn a diverged model into a good-looking one."""
    teacher, student, mask = maps
    assert torch.isnan(losses.attention_kl(teacher.clone().fill_(torch.nan), student, mask))


@pytest.mark.parametrize("cuts", [(1,), (2, 4), (1, 2, 3, 4)])
def test_terms_do_not_depend_on_how_a_set_is_split_into_batches(maps, cuts):
    """A mean over all rows of a batch weighs long sentences more, so mismatch would change with the batch
    size.
    """
    teacher, student, mask = maps
    cls = [torch.randn(BATCH, 6) for _ in range(2)]
    logits = [torch.randn(BATCH, 3) for _ in range(2)]
    labels = torch.tensor([0, 1, 2, 1, 0])
    edges = [0, *cuts, BATCH]
    parts = [slice(low, high) for low, high in zip(edges, edges[1:])]

    def weighted(term) -> float:
        return sum(term(part).item() * (part.stop - part.start) for part in parts) / BATCH

    whole = slice(0, BATCH)
    for term in (
        lambda part: losses.attention_kl(teacher[part], student[part], mask[part]),
        lambda part: losses.cls_distance(cls[0][part], cls[1][part]),
        lambda part: losses.soft_label_loss(logits[0][part], logits[1][part], 2.0),
        lambda part: losses.hard_label_loss(logits[0][part], labels[part]),
    ):
        assert weighted(term) == pytest.approx(term(whole).item(), rel=1e-5)


def test_cls_distance_is_scipys_cosine_distance():
    """A dot product without norms also falls in training and looks like a distance."""
    teacher, student = torch.randn(6, 9), torch.randn(6, 9)
    expected = np.mean([cosine(a, b) for a, b in zip(teacher.double().numpy(), student.double().numpy())])
    assert losses.cls_distance(teacher, student).item() == pytest.approx(expected, rel=1e-5)
    assert losses.cls_distance(7 * teacher, student).item() == pytest.approx(expected, rel=1e-5), (
        "length does not count"
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_cls_distance_is_zero_at_identity_and_never_negative(scale):
    """In float32 the cosine of equal vectors is often above 1, in float64 that of vectors of one direction: a
    negative distance breaks logarithmic axes and thresholds.
    """
    vectors = scale * torch.randn(400, 384)
    for same_direction in (vectors.clone(), 3 * vectors):
        found = losses.cls_distance_per_example(vectors, same_direction)
        assert found.min() >= 0 and found.max() < 1e-7


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_label_loss_is_t_squared_times_scipys_kl(temperature):
    """A second softmax on probabilities, or a missing T², trains quietly with another weight of the soft
    labels.
    """
    teacher, student = 3 * np.random.default_rng(0).normal(size=(2, 8, 3))
    expected = (
        temperature**2
        * rel_entr(softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1))
        .sum(axis=1)
        .mean()
    )
    assert losses.soft_label_loss(
        torch.tensor(teacher), torch.tensor(student), temperature
    ).item() == pytest.approx(expected, rel=1e-5)
    assert losses.soft_label_loss(
        torch.tensor(teacher), torch.tensor(teacher) + 5, temperature
    ).item() == pytest.approx(0, abs=1e-6 * temperature**2)


def test_soft_label_loss_has_the_gradient_of_the_papers_cross_entropy():
    """kdviz reports T²·KL so that identity is 0; were its gradient another one, training would not be the
    paper's.
    """
    teacher = torch.randn(8, 3)
    student = torch.randn(8, 3, requires_grad=True)
    losses.soft_label_loss(teacher, student).backward()
    found, student.grad = student.grad, None
    functional.cross_entropy(student, teacher.softmax(-1)).backward()
    assert torch.allclose(found, student.grad, atol=1e-7)


def test_hard_label_loss_is_the_negative_log_likelihood():
    """A loss on the wrong class id still falls, to the wrong model."""
    logits, labels = torch.randn(8, 3), torch.randint(0, 3, (8,))
    expected = -log_softmax(logits.double().numpy(), axis=1)[np.arange(8), labels.numpy()].mean()
    assert losses.hard_label_loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_gradients_are_finite_at_identity_and_with_padding(maps):
    """−inf − (−inf) in a branch that is not taken still poisons the gradient: the first step would make every
    weight NaN.
    """
    scores = torch.randn(BATCH, HEADS, SEQ, SEQ, requires_grad=True)
    mask = mask_of(LENGTHS, SEQ)
    student = scores.masked_fill(~mask.bool()[:, None, None, :], -torch.inf).log_softmax(-1)
    cls = torch.randn(BATCH, 6, requires_grad=True)
    (losses.attention_kl(student.detach(), student, mask) + losses.cls_distance(cls.detach(), cls)).backward()
    assert torch.isfinite(scores.grad).all() and torch.isfinite(cls.grad).all()
    assert scores.grad.abs().max() < 1e-6, "nothing to gain at identity"
    assert not scores.grad[1, :, 4:].any() and not scores.grad[1, :, :, 4:].any(), (
        "padding receives no gradient"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_give_finite_float32_losses(maps, dtype):
    """Sums of probabilities in half precision lose the small ones, and 60,000 overflows: losses are in
    float32 inside.
    """
    teacher, student, mask = maps
    found = losses.attention_kl(teacher.to(dtype), student.to(dtype), mask)
    assert found.dtype == torch.float32 and found.item() == pytest.approx(
        losses.attention_kl(teacher, student, mask).item(), rel=3e-2
    )
    cls = [(1000 * torch.randn(4, 384)).to(dtype) for _ in range(2)]
    logits = [(100 * torch.randn(4, 2)).to(dtype) for _ in range(2)]
    for term in (
        losses.cls_distance(*cls),
        losses.soft_label_loss(*logits, 0.5),
        losses.hard_label_loss(logits[0], torch.tensor([0, 1, 0, 1])),
    ):
        assert term.dtype == torch.float32 and torch.isfinite(term)


def test_wrong_shapes_are_refused_with_both_shapes(maps):
    """Broadcasting would make a number of maps of different heads, or of a mask of another batch."""
    teacher, student, mask = maps
    with pytest.raises(
        ValueError, match=r"^attention maps: .*teacher \(5, 3, 7, 7\) and student \(5, 2, 7, 7\)"
    ):
        losses.attention_kl(teacher, student[:, :2], mask)
    with pytest.raises(ValueError, match=r"mask \(5, 6\)"):
        losses.attention_kl(teacher, student, mask[:, :6])
    with pytest.raises(ValueError, match=r"maps \(5, 3, 7, 6\) and mask \(5, 7\)"):
        losses.attention_kl(teacher[..., :6], student[..., :6], mask)
    with pytest.raises(ValueError, match=r"^\[CLS\] vectors: .*teacher \(4, 6\) and student \(4, 1\)"):
        losses.cls_distance(torch.randn(4, 6), torch.randn(4, 1))
    with pytest.raises(ValueError, match="^logits: "):
        losses.soft_label_loss(torch.randn(4, 2), torch.randn(4, 3))
    with pytest.raises(ValueError, match="temperature"):
        losses.soft_label_loss(torch.randn(4, 2), torch.randn(4, 2), 0.0)


def test_the_gradient_of_attention_kl_is_that_of_its_formula():
    """It is written by hand; a wrong sign or a missing factor trains every layer towards something else. In
    double precision by finite differences, with padded keys, through the log-softmax that makes a map.
    """
    lengths = torch.tensor([4, 2])
    real_keys = torch.arange(4) < lengths[:, None]
    scores = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    padded = ~real_keys[:, None, None, :]
    teacher = torch.randn(2, 2, 4, 4, dtype=torch.float64).masked_fill(padded, -torch.inf).log_softmax(-1)

    def kl(scores: torch.Tensor) -> torch.Tensor:
        student = scores.masked_fill(padded, -torch.inf).log_softmax(-1)
        return losses.row_kl(teacher, student, real_keys)

    assert torch.autograd.gradcheck(kl, (scores,))


@pytest.mark.parametrize("loss", ["attention_kl", "cls_distance", "soft_label_loss", "hard_label_loss"])
def test_the_examples_in_the_documentation_are_right(loss):
    """A reader takes the numbers in a docstring for what the function gives."""
    tests = doctest.DocTestFinder().find(getattr(losses, loss), globs={"torch": torch, **vars(losses)})
    assert sum(len(test.examples) for test in tests) >= 2
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_costs_nothing_but_its_own_rounding(maps, dtype):
    """A side that stays in half precision inside loses digits of every term that the other side has."""
    teacher, student, mask = maps[0].to(dtype), maps[1].to(dtype), maps[2]
    logits, other = torch.randn(4, 3).to(dtype), torch.randn(4, 3).to(dtype)
    labels = torch.tensor([0, 2, 1, 1])
    for loss in (
        lambda one, two: losses.attention_kl(one(teacher), two(student), mask),
        lambda one, two: losses.cls_distance(one(logits), two(other)),
        lambda one, two: losses.soft_label_loss(one(logits), two(other), 2.0),
        lambda one, two: losses.hard_label_loss(one(logits), labels),
    ):
        exact = loss(torch.Tensor.float, torch.Tensor.float)
        as_it_is = lambda tensor: tensor
        for sides in itertools.product((torch.Tensor.float, as_it_is), repeat=2):
            assert torch.equal(loss(*sides), exact) and exact.dtype == torch.float32


def test_attention_kl_does_not_look_at_a_padded_key_that_has_weight(maps):
    """A teacher that was recorded without its mask attends to padding: no business of the loss."""
    teacher, student, mask = maps
    padded = ~mask.bool()[:, None, None, :]
    expected = losses.attention_kl(teacher, student, mask)
    for filling in (-1.0, 0.0):
        leaky = teacher.masked_fill(padded, filling)
        assert torch.equal(losses.attention_kl(leaky, student.masked_fill(padded, -2.0), mask), expected)


def test_temperature_is_one_unless_asked():
    """Another default would be another method under the same name."""
    one, other = torch.randn(5, 3), torch.randn(5, 3)
    expected = losses.soft_label_loss_per_example(one, other, 1.0)
    assert torch.equal(losses.soft_label_loss_per_example(one, other), expected)
    assert losses.soft_label_loss(one, other) == expected.mean()


@pytest.mark.parametrize("name", ["attention_kl", "cls_distance", "soft_label_loss", "hard_label_loss"])
def test_the_losses_stand_under_the_name_that_others_import(name):
    """`kdviz.losses` is the contract with programs of others; within kdviz nothing imports it."""
    import kdviz.losses

    assert getattr(kdviz.losses, name) is getattr(losses, name) and name in kdviz.losses.__all__
