"""Attention KL, the paper's Eq. 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdviz.method.term import MAPS, Term

if TYPE_CHECKING:
    from torch import Tensor


def loss(teacher: Tensor, student: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher‖student) of the attention maps, mean over real query rows: (batch, heads), in nats."""
    from kdviz.method.losses import attention_kl_per_head

    return attention_kl_per_head(teacher, student, mask)


TERM = Term(
    name="kl",
    key="attention_kl",
    title="Attention KL",
    unit="nats",
    words="how far the student's attention is from the teacher's, in nats. 0 means identical. Mean over "
    "heads and over the rows of the map, teacher first (the paper's equation 2).",
    source="Aguilar et al. (2020), Eq. 2",
    reads=MAPS,
    loss=loss,
    has_heads=True,
    is_default=True,
)
