"""MiniLM's value relation: which words have like values, compared as attention maps are.

Wang et al., "MiniLM" (2020): a head's values (seq, size) give the map softmax(V·Vᵀ/√size), and the loss is
KL(teacher‖student) of its rows. MiniLM trains it in the last layer alone (`--active-pairs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdviz.method.term import Reading, Term

if TYPE_CHECKING:
    from torch import Tensor


def value_relation(values: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities (batch, heads, query, key) of the relation of values (batch, heads, seq, size), in
    float32; `mask` (batch, seq).
    """
    values = values.float()
    scores: Tensor = values @ values.transpose(2, 3) * values.shape[-1] ** -0.5
    scores = scores.masked_fill(~mask.bool()[:, None, None, :], float("-inf"))
    return scores.log_softmax(-1)


def loss(teacher: Tensor, student: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher‖student) of the value relations, mean over real query rows: (batch, heads), in nats."""
    from kdviz.method.losses import attention_kl_per_head

    return attention_kl_per_head(teacher, student, mask)


TERM = Term(
    name="value_relation",
    key="value_relation",
    title="Value relation",
    unit="nats",
    words="how far apart teacher and student are in which words of a sentence they hold to be alike (by the "
    "values their heads hand on), in nats. 0 means identical. MiniLM's term, for the last layer alone there.",
    source="Wang et al. (2020), MiniLM",
    reads=Reading(name="values", recorded="values", form="map", of=value_relation),
    loss=loss,
    has_heads=True,
)
