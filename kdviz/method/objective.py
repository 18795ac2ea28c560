"""What a step minimises: the named terms of a stage, and the total of the active ones."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kdviz.config import RunConfig
from kdviz.data.encoded import Batch
from kdviz.method import losses
from kdviz.method.stages import Stage
from kdviz.models.families import CLASSIFIER, EMBEDDINGS, POOLER, family_of
from kdviz.models.trace import classify, trace
from kdviz.training.teacher_outputs import Needs, TeacherBatch, needs_of


@dataclass(kw_only=True)
class Terms:
    """The loss terms of one step, scalars, unweighted; a term that is not active is absent. `total` is
    weighted.
    """

    total: Tensor
    soft: Tensor | None = None
    hard: Tensor | None = None
    attention_kl: dict[int, Tensor] = field(default_factory=dict)
    cls_distance: dict[int, Tensor] = field(default_factory=dict)
    newest_cls_distance: Tensor | None = None

    def detached(self) -> "Terms":
        """The same numbers without their graph."""
        return Terms(
            total=self.total.detach(),
            soft=None if self.soft is None else self.soft.detach(),
            hard=None if self.hard is None else self.hard.detach(),
            attention_kl={layer: term.detach() for layer, term in self.attention_kl.items()},
            cls_distance={layer: term.detach() for layer, term in self.cls_distance.items()},
        )

    @staticmethod
    def means(steps: "list[Terms]") -> dict:
        """Means over steps of the same stage, as plain numbers: total, and each active term by its name in
        metrics.jsonl.
        """
        first = steps[0]
        names = [("total", None)] + [
            (name, None) for name in ("soft", "hard") if getattr(first, name) is not None
        ]
        names += [
            (group, layer) for group in ("attention_kl", "cls_distance") for layer in getattr(first, group)
        ]
        values = (
            torch.stack(
                [torch.stack([_term(terms, name, layer).float() for name, layer in names]) for terms in steps]
            )
            .mean(0)
            .tolist()
        )
        result: dict = {}
        for (name, layer), value in zip(names, values):
            if layer is None:
                result[name] = value
            else:
                result.setdefault(name, {})[str(layer)] = value
        return result


def _term(terms: Terms, name: str, layer: int | None) -> Tensor:
    value = getattr(terms, name)
    return value if layer is None else value[layer]


def active_pairs(stage: Stage, pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return tuple(pair for pair in pairs if pair[0] in stage.layers)


def stage_needs(stage: Stage, pairs: tuple[tuple[int, int], ...], config: RunConfig) -> Needs:
    """What a stage wants of the teacher: only the outputs its terms (or its threshold) read."""
    active = active_pairs(stage, pairs)
    needs = needs_of(
        active, logits="soft" in stage.classification, kl="kl" in config.terms, cos="cos" in config.terms
    )
    if stage.newest_layer is None or config.cosine_threshold is None:
        return needs
    watched = dict(active)[stage.newest_layer]
    return Needs(logits=needs.logits, cls_layers=needs.cls_layers | {watched}, map_layers=needs.map_layers)


def step_terms(
    student: nn.Module,
    batch: Batch,
    teacher: TeacherBatch,
    *,
    stage: Stage,
    pairs: tuple[tuple[int, int], ...],
    config: RunConfig,
    generator: torch.Generator | None = None,
    run_in: Callable = nullcontext,
) -> Terms:
    """Run the student as far as the stage needs it and form its terms (paper, Eq. 2 and 3 and soft labels).

    The total is the weighted sum of the active terms; losses are in float32 whatever the model's arithmetic.
    """
    active = active_pairs(stage, pairs)
    with run_in():
        traced = trace(
            student,
            *batch.inputs,
            num_layers=stage.num_layers_needed(student.config.num_hidden_layers),
            record=[layer for layer, _ in active] if "kl" in config.terms else (),
            generator=generator,
        )
        logits = classify(student, traced.last) if stage.classification != "none" else None
    terms, parts = Terms(total=torch.zeros(())), []
    for student_layer, teacher_layer in active:
        if "kl" in config.terms:
            kl = losses.attention_kl(
                teacher.log_probs[teacher_layer], traced.log_probs[student_layer], batch.attention_mask
            )
            terms.attention_kl[student_layer] = kl
            parts.append(config.kl_weight * kl)
        if teacher_layer in teacher.cls:
            distance = losses.cls_distance(teacher.cls[teacher_layer], traced.cls[student_layer])
            if student_layer == stage.newest_layer:
                terms.newest_cls_distance = distance
            if "cos" in config.terms:
                terms.cls_distance[student_layer] = distance
                parts.append(config.cos_weight * distance)
    if "soft" in stage.classification:
        terms.soft = losses.soft_label_loss(teacher.logits, logits, config.temperature)
        parts.append(config.soft_weight * terms.soft)
    if "hard" in stage.classification:
        terms.hard = losses.hard_label_loss(logits, batch.labels)
        parts.append((config.hard_weight if "soft" in stage.classification else 1.0) * terms.hard)
    terms.total = torch.stack([part.reshape(()) for part in parts]).sum()
    return terms


def set_trainable(student: nn.Module, stage: Stage) -> None:
    """Let gradients reach exactly the parameters this stage may change."""
    family = family_of(student)
    for name, parameter in student.named_parameters():
        part = family.part_of(name)
        if part in (POOLER, CLASSIFIER):
            parameter.requires_grad = True
        elif part == EMBEDDINGS:
            # What all layers share would move the frozen ones too.
            parameter.requires_grad = not (stage.only_classifier or stage.frozen_below)
        else:
            parameter.requires_grad = not stage.only_classifier and part >= stage.frozen_below
