"""What a loss term is: a loss, what it reads of teacher and student, and how it is called on screen.

Free of torch at import, so that settings and pages can read the registry (`kdviz.method.terms`) at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


def _as_it_is(recorded: Tensor, mask: Tensor) -> Tensor:
    return recorded


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a term reads of one layer, of the teacher and of the student alike.

    `name` stands in needs and in the names of kept files. `recorded` is what is recorded while the layer
    runs: its "cls" vector (batch, hidden), its "maps" (attention log-probabilities, (batch, heads, query,
    key)), or the "queries", "keys" or "values" of its heads (batch, heads, seq, size). `of(recorded, mask)`
    makes the reading from it, with mask (batch, seq). `form` says what comes out: a "vector" (batch, hidden),
    or a "map" (batch, heads, query, key) of log-probabilities, those of padded keys −inf.
    """

    name: str
    recorded: Literal["cls", "maps", "queries", "keys", "values"]
    form: Literal["vector", "map"]
    of: Callable[[Tensor, Tensor], Tensor] = _as_it_is


@dataclass(frozen=True, kw_only=True)
class Term:
    """A loss term over matched pairs of layers.

    `name` is how it is asked for (`--terms`), `key` its name in metrics.jsonl. `title`, `unit` and `words`
    (what goes on after the title and a colon) are for the screen, `source` says where it comes from.

    `loss` of the teacher's reading, the student's and the mask is (batch, heads) where `has_heads`, else
    (batch,): 0 at identity, blind to padding, in float32. `is_default`: trained unless asked otherwise, and
    measured at every evaluation, asked for or not.
    `is_logarithmic`: spans decades, so that a curve of it needs a logarithmic axis.
    """

    name: str
    key: str
    title: str
    unit: str
    words: str
    source: str
    reads: Reading
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    has_heads: bool
    is_default: bool = False
    is_logarithmic: bool = False


MAPS = Reading(name="maps", recorded="maps", form="map")
CLS = Reading(name="cls", recorded="cls", form="vector")
