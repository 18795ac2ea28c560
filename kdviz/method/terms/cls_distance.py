"""CLS distance, the paper's Eq. 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdviz.method.term import CLS, Term

if TYPE_CHECKING:
    from torch import Tensor


def loss(teacher: Tensor, student: Tensor, mask: Tensor) -> Tensor:
    """1 − cosine of the [CLS] vectors: (batch,)."""
    from kdviz.method.losses import cls_distance_per_example

    return cls_distance_per_example(teacher, student)


TERM = Term(
    name="cos",
    key="cls_distance",
    title="CLS distance",
    unit="1 − cosine",
    words="1 − cosine of the two [CLS] vectors at the output of two matched layers. 0 means same direction "
    "(the paper's equation 3).",
    source="Aguilar et al. (2020), Eq. 3",
    reads=CLS,
    loss=loss,
    has_heads=False,
    is_default=True,
    is_logarithmic=True,
)
