"""What is wanted of a model for one batch, and what it answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategies import planned_stages
from kdviz.method.term import CLS, Term
from kdviz.method.terms import READINGS, TERMS

if TYPE_CHECKING:
    from torch import Tensor

Pairs = tuple[tuple[int, int], ...]
"""Matched pairs: (student layer, teacher layer), 0-based."""
MOST_LABELS = 4


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What is wanted of a model: its logits, and (reading, layer) of what its terms read, layers 0-based."""

    logits: bool = True
    readings: frozenset[tuple[str, int]] = frozenset()

    def layers(self, reading: str) -> frozenset[int]:
        """The layers of which `reading` is wanted."""
        return frozenset(layer for name, layer in self.readings if name == reading)

    def num_values(self, num_examples: int, *, num_cells: int, width: int) -> int:
        """Numbers that all this comes to for so many examples, at most; `num_cells` of one layer's maps of
        all of them together, `width` of one vector.
        """
        forms = [READINGS[name].form for name, _ in self.readings]
        vectors = forms.count("vector") * width + MOST_LABELS * self.logits
        return forms.count("map") * num_cells + num_examples * vectors

    @property
    def num_layers(self) -> int:
        """Layers to run for the readings alone."""
        return max((layer for _, layer in self.readings), default=-1) + 1


@dataclass(kw_only=True)
class Answers:
    """What a model answered for one batch: logits (batch, classes), and its readings by name and layer."""

    logits: Tensor | None = None
    readings: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    @property
    def known_logits(self) -> Tensor:
        """The logits where they must be there; ValueError where none were asked."""
        if self.logits is None:
            raise ValueError("expected logits, got none; ask for them in Needs")
        return self.logits

    def reading(self, name: str) -> dict[int, Tensor]:
        """By layer; empty where none was asked."""
        return self.readings.get(name, {})


def active_pairs(stage: Stage, pairs: Pairs) -> Pairs:
    """The pairs whose terms a stage trains."""
    return tuple(pair for pair in pairs if pair[0] in stage.layers)


def _readings(layers: Collection[int], terms: Collection[str]) -> frozenset[tuple[str, int]]:
    return frozenset((TERMS[name].reads.name, layer) for name in terms for layer in layers)


def stage_needs(stage: Stage, pairs: Pairs, settings: MethodSettings) -> Needs:
    """What a stage wants of the teacher: only the outputs its terms (or its threshold) read."""
    active = dict(active_pairs(stage, pairs))
    readings = _readings(active.values(), settings.terms)
    if stage.newest_layer is not None and settings.cosine_threshold is not None:
        readings |= {(CLS.name, active[stage.newest_layer])}
    return Needs(logits="soft" in stage.classification, readings=readings)


def student_needs(stage: Stage, settings: MethodSettings) -> Needs:
    """What a stage wants of the student. Its [CLS] vectors cost nothing: a threshold may read them."""
    return Needs(
        logits=stage.classification != "none",
        readings=_readings(stage.layers, settings.terms) | {(CLS.name, layer) for layer in stage.layers},
    )


def evaluation_needs(layers: Collection[int], cls_layers: Collection[int], terms: Collection[Term]) -> Needs:
    """What an evaluation wants of a model: logits, what `terms` read of `layers`, [CLS] of `cls_layers`."""
    read = _readings(layers, [term.name for term in terms])
    return Needs(readings=read | {(CLS.name, layer) for layer in cls_layers})


def compares_vectors(settings: MethodSettings) -> bool:
    """Whether training compares [CLS] vectors, so that teacher and student must have one width."""
    chosen = [TERMS[name] for name in settings.terms]
    return settings.uses_internal_terms and (
        settings.cosine_threshold is not None or any(term.reads.form == "vector" for term in chosen)
    )


def training_needs(settings: MethodSettings, pairs: Pairs) -> Needs:
    """What all stages together want of the teacher on the training set."""
    stages = [stage_needs(stage, pairs, settings) for stage in planned_stages(settings)]
    return Needs(
        logits=any(needs.logits for needs in stages),
        readings=frozenset().union(*(needs.readings for needs in stages)),
    )
