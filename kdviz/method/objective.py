"""What a step minimises: the named terms of a stage, and the total of the active ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from kdviz.method import losses
from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.targets import Answers, Pairs, active_pairs
from kdviz.method.term import CLS
from kdviz.method.terms import TERMS
from kdviz.method.weights import part_weights


@dataclass(kw_only=True)
class Terms:
    """The loss terms of one step, scalars, unweighted; a term that is not active is absent. `total` is
    weighted.

    `classification` by "soft" and "hard"; `internal` by the term's name in metrics.jsonl and the student
    layer. `newest_cls_distance` is what a threshold watches.
    """

    total: Tensor
    classification: dict[str, Tensor] = field(default_factory=dict)
    internal: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    newest_cls_distance: Tensor | None = None

    def detached(self) -> "Terms":
        """The same numbers without their graph."""
        return Terms(
            total=self.total.detach(),
            classification={name: term.detach() for name, term in self.classification.items()},
            internal={
                key: {layer: term.detach() for layer, term in by_layer.items()}
                for key, by_layer in self.internal.items()
            },
            newest_cls_distance=None
            if self.newest_cls_distance is None
            else self.newest_cls_distance.detach(),
        )

    def named(self) -> dict[tuple[str, int | None], Tensor]:
        """Every term by (name, student layer or None): "total", "soft", "hard" and the internal ones."""
        return (
            {("total", None): self.total}
            | {(name, None): term for name, term in self.classification.items()}
            | {
                (key, layer): term
                for key, by_layer in self.internal.items()
                for layer, term in by_layer.items()
            }
        )

    @staticmethod
    def means(steps: "Sequence[Terms]") -> dict[str, Any]:
        """Means over steps of the same stage, as plain numbers: total, and each active term by its name in
        metrics.jsonl.
        """
        rows = [torch.stack(list(step.named().values())) for step in steps]
        result: dict[str, Any] = {}
        for (name, layer), value in zip(steps[0].named(), torch.stack(rows).mean(0).tolist(), strict=True):
            if layer is None:
                result[name] = value
            else:
                result.setdefault(name, {})[str(layer)] = value
        return result


def form_terms(
    *,
    teacher: Answers,
    student: Answers,
    labels: Tensor,
    mask: Tensor,
    stage: Stage,
    pairs: Pairs,
    settings: MethodSettings,
) -> Terms:
    """The terms of a stage from what teacher and student answered for the same batch; labels (batch,), mask
    (batch, seq). The total is the weighted sum of the active terms; losses are in float32.
    """
    internal: dict[str, dict[int, Tensor]] = {}
    newest, parts = None, []
    weights = part_weights(settings, stage.classification)
    for student_layer, teacher_layer in active_pairs(stage, pairs):
        for term in TERMS.values():
            if term.name in settings.terms:
                value = term.loss(
                    teacher.reading(term.reads.name)[teacher_layer],
                    student.reading(term.reads.name)[student_layer],
                    mask,
                ).mean()
                internal.setdefault(term.key, {})[student_layer] = value
                parts.append(weights[term.key] * value)
        if student_layer == stage.newest_layer and teacher_layer in teacher.reading(CLS.name):
            newest = internal.get(TERMS["cos"].key, {}).get(student_layer)
            if newest is None:
                newest = losses.cls_distance(
                    teacher.reading(CLS.name)[teacher_layer], student.reading(CLS.name)[student_layer]
                )
    classification = {}
    if "soft" in stage.classification:
        classification["soft"] = losses.soft_label_loss(
            teacher.known_logits, student.known_logits, settings.temperature
        )
        parts.append(weights["soft"] * classification["soft"])
    if "hard" in stage.classification:
        classification["hard"] = losses.hard_label_loss(student.known_logits, labels)
        parts.append(weights["hard"] * classification["hard"])
    total = torch.stack([part.reshape(()) for part in parts]).sum()
    return Terms(total=total, classification=classification, internal=internal, newest_cls_distance=newest)
