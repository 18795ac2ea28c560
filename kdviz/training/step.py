"""A student's step in a stage: its terms, and which of its parameters it may change."""

from contextlib import nullcontext

import torch
from torch import nn

from kdviz.data.encoded import Batch
from kdviz.method.objective import Terms, form_terms
from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.targets import Answers, Pairs, student_needs
from kdviz.models.answer import RunIn, answer
from kdviz.models.families import EMBEDDINGS, as_classifier, family_of


def step_terms(
    student: nn.Module,
    batch: Batch,
    teacher: Answers,
    *,
    stage: Stage,
    pairs: Pairs,
    settings: MethodSettings,
    generator: torch.Generator | None = None,
    run_in: RunIn = nullcontext,
) -> Terms:
    """Run the student on a batch as far as the stage needs it, and form its terms with the teacher's answers.

    `generator`: source of attention dropout. The student runs in the context `run_in` makes; losses are in
    float32 whatever its arithmetic.
    """
    own = answer(
        student,
        batch.inputs,
        student_needs(stage, settings),
        num_layers=stage.num_layers_needed(as_classifier(student).config.num_hidden_layers),
        generator=generator,
        run_in=run_in,
    )
    return form_terms(
        teacher=teacher,
        student=own,
        labels=batch.labels,
        mask=batch.attention_mask,
        stage=stage,
        pairs=pairs,
        settings=settings,
    )


def set_trainable(student: nn.Module, stage: Stage) -> None:
    """Let gradients reach exactly the parameters this stage may change."""
    family = family_of(student)
    for name, parameter in student.named_parameters():
        part = family.part_of(name)
        if isinstance(part, int):
            parameter.requires_grad = not stage.only_classifier and part >= stage.frozen_below
        elif part == EMBEDDINGS:
            # What all layers share would move the frozen ones too.
            parameter.requires_grad = not (stage.only_classifier or stage.frozen_below)
        else:  # pooler and classifier
            parameter.requires_grad = True
