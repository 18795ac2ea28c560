"""Parts of a run as a reader meets them: a probe, a moment of training, an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kdviz.data.tokens import marked
from kdviz.runs.records import (
    Malformed,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A sentence (or pair) of the project whose maps every run stores; its special tokens are marked."""

    id: str
    title: str
    reason: str
    look_for: str
    text_a: str
    text_b: str | None
    label: int
    tokens: tuple[str, ...]
    teacher_logits: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One recorded moment of training: `epoch` is a fraction between evaluations."""

    step: int
    epoch: float
    has_maps: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Per-example results of one evaluation.

    `index` and `label` (n,), the logits (n, classes), `attention_kl` (nats) and `cls_distance` (n, pairs).
    """

    index: np.ndarray
    label: np.ndarray
    teacher_logits: np.ndarray
    student_logits: np.ndarray
    attention_kl: np.ndarray
    cls_distance: np.ndarray


def probe_of(row: dict) -> Probe:
    """The probe of a checked row; Malformed where its parts do not fit."""
    if not row["tokens"]:
        raise Malformed("tokens: at least one was expected")
    if not 0 <= row["label"] < len(row["teacher_logits"]):
        raise Malformed(f"label: one of {len(row['teacher_logits'])} classes was expected")
    return Probe(
        id=row["id"],
        title=row["title"],
        reason=row.get("reason") or "",
        look_for=row.get("look_for") or "",
        text_a=row["text_a"],
        text_b=row.get("text_b"),
        label=row["label"],
        tokens=marked(row["tokens"], row.get("special", ())),
        teacher_logits=tuple(row["teacher_logits"]),
    )


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of them, evenly spread, the first and the last always among them."""
    if len(items) <= most:
        return list(items)
    places = np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))
    return [items[place] for place in places]


def interval_of(line: Mapping, metric: str) -> tuple[float | None, float | None]:
    """The 95 % interval of a metric in an evaluation line; (None, None) where none was recorded."""
    low, high = (line.get("intervals") or {}).get(metric) or (None, None)
    return low, high
