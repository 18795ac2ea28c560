"""The loss terms: pure functions, float32 inside, 0 (or minimal) at identity, blind to padding."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def attention_kl(teacher_log_probs: Tensor, student_log_probs: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher‖student) of attention maps, the paper's Eq. 2, in nats; a scalar.

    Log-probabilities of shape (batch, heads, query, key), `mask` (batch, seq) with 1 for real tokens. Each
    example counts the mean over heads and over its real query rows; the batch counts the mean over its
    examples, of which one of padding alone is none. So the value of a set does not depend on how it is split
    into batches, nor on the length they are padded to.

    >>> teacher = torch.tensor([[[[0.5, 0.5], [0.5, 0.5]]]]).log()  # one example, one head, two tokens
    >>> student = torch.tensor([[[[0.9, 0.1], [0.5, 0.5]]]]).log()
    >>> mask = torch.tensor([[1, 1]])
    >>> round(attention_kl(teacher, student, mask).item(), 4)  # (0.5 ln(0.5/0.9) + 0.5 ln(0.5/0.1) + 0) / 2
    0.2554
    >>> attention_kl(teacher, teacher, mask).item()
    0.0
    """
    per_head = attention_kl_per_head(teacher_log_probs, student_log_probs, mask)
    return per_head.sum() / (mask.any(-1).sum() * per_head.shape[1])


def attention_kl_per_head(teacher_log_probs: Tensor, student_log_probs: Tensor, mask: Tensor) -> Tensor:
    """The same before the means over examples and heads: (batch, heads), in nats. ValueError where shapes do
    not fit.
    """
    _same_shape("attention maps", teacher_log_probs, student_log_probs)
    batch, _, queries, keys = teacher_log_probs.shape
    if mask.shape != (batch, queries) or queries != keys:
        raise ValueError(
            f"attention_kl: expected maps (batch, heads, seq, seq) and a mask (batch, seq), got maps "
            f"{tuple(teacher_log_probs.shape)} and mask {tuple(mask.shape)}; pass the attention mask of "
            "the same batch"
        )
    rows = mask.to(torch.float32)
    per_row = row_kl(teacher_log_probs.float(), student_log_probs.float(), mask.bool())
    return (per_row * rows[:, None, :]).sum(-1) / rows.sum(-1).clamp(min=1)[:, None]


def row_kl(teacher: Tensor, student: Tensor, real_keys: Tensor) -> Tensor:
    """KL of every query row, in nats and in the precision of what comes: log-probabilities (batch, heads,
    query, key) twice and real keys (batch, key) → (batch, heads, query).
    """
    result: Tensor = _RowKl.apply(teacher, student, real_keys)  # type: ignore[no-untyped-call]  # torch's
    return result


class _RowKl(torch.autograd.Function):
    """`row_kl` with a gradient of its own.

    Its gradient with respect to the student's log-probabilities is −p(teacher), one product; autograd's own
    way through the same formula takes three times as long. The teacher gets no gradient.
    """

    @staticmethod
    def forward(context: Any, teacher: Tensor, student: Tensor, real_keys: Tensor) -> Tensor:
        probability = teacher.exp().masked_fill_(~real_keys[:, None, None, :], 0.0)
        # A padded key has log-probability -inf (or a huge negative number) on both sides; 0 · (-inf − -inf)
        # must be 0, and so must 0 · log(0 / q) of a real key that the teacher gives no probability at all.
        difference = (teacher - student).masked_fill_(probability == 0, 0.0)
        context.save_for_backward(probability)
        return difference.mul_(probability).sum(-1)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        (probability,) = context.saved_tensors
        return None, probability * -gradient[..., None], None


def cls_distance(teacher_cls: Tensor, student_cls: Tensor) -> Tensor:
    """1 − cos of the [CLS] vectors, the paper's Eq. 3; (batch, hidden) twice → the scalar mean.

    >>> teacher, student = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    >>> cls_distance(teacher, student).item()  # 0 for the first, 1 for the second: length does not matter
    0.5
    """
    return cls_distance_per_example(teacher_cls, student_cls).mean()


def cls_distance_per_example(teacher_cls: Tensor, student_cls: Tensor) -> Tensor:
    """The same before the mean: (batch,)."""
    _same_shape("[CLS] vectors", teacher_cls, student_cls)
    # float64 for the cosine alone: in float32 equal vectors give 1 ± 6e-8, and a distance must not be
    # negative.
    cosine = functional.cosine_similarity(teacher_cls.double(), student_cls.double(), dim=-1)
    return (1 - cosine).clamp_min(0).float()


def soft_label_loss(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T²·KL(teacher‖student) of the class probabilities at temperature T, mean over the batch.

    (batch, classes) twice → scalar. At T = 1 its gradient is that of the paper's cross-entropy with soft
    labels; T² keeps the gradient's size over temperatures (Hinton et al., 2015).

    >>> teacher, student = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> round(soft_label_loss(teacher, student).item(), 4)  # 0.9 ln(0.9/0.5) + 0.1 ln(0.1/0.5)
    0.3681
    >>> soft_label_loss(teacher, teacher + 7.0, temperature=3.0).abs().item() < 1e-6  # shifted
    True
    """
    _same_shape("logits", teacher_logits, student_logits)
    return soft_label_loss_per_example(teacher_logits, student_logits, temperature).mean()


def soft_label_loss_per_example(
    teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """The same before the mean: (batch,)."""
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number above 0, got {temperature}")
    teacher = functional.log_softmax(teacher_logits.float() / temperature, dim=-1)
    student = functional.log_softmax(student_logits.float() / temperature, dim=-1)
    return temperature**2 * (teacher.exp() * (teacher - student)).sum(-1)


def hard_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the class ids: (batch, classes) and (batch,) → scalar mean.

    >>> logits = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
    >>> round(hard_label_loss(logits, torch.tensor([1, 0])).item(), 4)  # -(ln 0.75 + ln 0.5) / 2
    0.4904
    """
    return functional.cross_entropy(logits.float(), labels)


def _same_shape(what: str, teacher: Tensor, student: Tensor) -> None:
    if teacher.shape != student.shape:
        raise ValueError(
            f"{what}: expected the same shape twice, got teacher {tuple(teacher.shape)} and student "
            f"{tuple(student.shape)}"
        )
