"""From a run's config to everything the loop needs: data, tokenizer, teacher with its outputs, probes,
student.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from kdviz.config import RunConfig
from kdviz.data.encoded import EncodedSet, RecentBatches, Tokenizer
from kdviz.data.examples import Example, fingerprint
from kdviz.files import MEBIBYTE
from kdviz.method.targets import Needs
from kdviz.models.answer import RunIn
from kdviz.models.build import build_student, load_classifier
from kdviz.models.checkpoint import Checkpoint
from kdviz.models.families import as_classifier
from kdviz.runs.epoch_weights import checkpoint_bytes
from kdviz.runs.layout import encoded_sets_of
from kdviz.runs.writer import RunWriter
from kdviz.task import Task
from kdviz.training.continuation import continuation
from kdviz.training.export_check import sample_rows
from kdviz.training.probes import Probes, make_probes
from kdviz.training.request import Request
from kdviz.training.seeds import derived_seed
from kdviz.training.shared import Shared
from kdviz.training.teacher import TeacherHooks, WantedTeacher, finetuned_teacher, label_order
from kdviz.training.teacher_outputs import Budget, TeacherOutputs, teacher_outputs

RECENT_BATCHES = 4
T = TypeVar("T")


@dataclass(kw_only=True)
class Prepared:
    """Everything the loop reads. `evaluations` by name, the main one first; `samples`, a few of its examples
    as text by their position. `once` makes what students have in common that are trained together: by what
    it is, how to make it, and what it depends on besides teacher and data.
    """

    config: RunConfig
    task: Task
    pairs: tuple[tuple[int, int], ...]
    device: torch.device
    run_in: RunIn
    checkpoint: Checkpoint
    student_checkpoint: Checkpoint
    train: EncodedSet
    evaluations: dict[str, EncodedSet]
    samples: dict[int, Example]
    teacher: nn.Module
    teacher_folder: Path
    make_train_outputs: Callable[[], TeacherOutputs]
    evaluation_outputs: dict[str, TeacherOutputs]
    probes: Probes
    batches: RecentBatches
    once: Callable[..., Any]

    @cached_property
    def train_outputs(self) -> TeacherOutputs:
        """The teacher's outputs for training. They take longest, and nothing that is shown before the first
        step needs them: they are made when they are first asked for.
        """
        return self.make_train_outputs()

    @property
    def num_teacher_layers(self) -> int:
        return as_classifier(self.teacher).config.num_hidden_layers


def prepare(
    writer: RunWriter, request: Request, check_stop: Callable[[], None], shared: Shared | None = None
) -> Prepared:
    """Load and compute all that a run needs, telling phase and progress in status.json. `shared` holds what
    other students that are trained with this one have made, and takes what this one makes.
    """
    config, checkpoint = request.config, request.checkpoint
    for warning in request.warnings:
        writer.log.warning("%s", warning)
    made = _Preparation(writer=writer, request=request, check_stop=check_stop, shared=shared or Shared())
    tokenizer = made.once("tokenizer", lambda: Tokenizer(checkpoint.folder, config.max_length))
    train, evaluations = made.once("sets", lambda: made.sets(tokenizer))
    check_stop()
    wanted = WantedTeacher.of(
        request, writer.folder.parent, train=train, evaluation=next(iter(evaluations.values()))
    )
    teacher, device = made.teacher(wanted), wanted.device
    budget = made.budget(wanted.folder / "outputs")
    evaluation_outputs, left = made.evaluation_outputs(teacher, evaluations, budget)
    recent = 0 if shared is None else RECENT_BATCHES
    return Prepared(
        config=config,
        task=request.task,
        pairs=request.pairs,
        device=device,
        run_in=wanted.run_in,
        checkpoint=checkpoint,
        student_checkpoint=request.student_checkpoint or checkpoint,
        train=train,
        evaluations=evaluations,
        samples=sample_rows(request.evaluation),
        teacher=teacher,
        teacher_folder=wanted.folder,
        make_train_outputs=lambda: made.train_outputs(teacher, wanted, left),
        evaluation_outputs=evaluation_outputs,
        probes=made.once("probes", lambda: make_probes(config.task, tokenizer, teacher), device),
        batches=made.once("batches", lambda: RecentBatches(train, device, recent), device),
        once=made.once,
    )


@dataclass(frozen=True, kw_only=True)
class _Preparation:
    """What a run needs is made: each thing once for all students that share it, told in status.json, and left
    off where the run is to stop.
    """

    writer: RunWriter
    request: Request
    check_stop: Callable[[], None]
    shared: Shared

    def once(self, what: str, make: Callable[[], T], *of: Hashable) -> T:
        """What `make` makes, or an earlier student had made of the same. Students of another teacher or other
        data share nothing.
        """
        return self.shared.once((self._origin, what, *of), make)

    @cached_property
    def _origin(self) -> Hashable:
        request = self.request
        return request.teacher_fingerprint, request.arithmetic.dtype, fingerprint(request.evaluation)

    def sets(self, tokenizer: Tokenizer) -> tuple[EncodedSet, dict[str, EncodedSet]]:
        """The training set, and the evaluation sets by name."""
        cache = encoded_sets_of(self.writer.folder.parent)
        train = tokenizer.encode_set(self.request.train, cache, tick=self.check_stop)
        evaluations = {
            name: tokenizer.encode_set(examples, cache, tick=self.check_stop)
            for name, examples in self.request.evaluations.items()
        }
        return train, evaluations

    def teacher(self, wanted: WantedTeacher) -> nn.Module:
        """The fine-tuned teacher. How its classes were put in order is added to config.json."""
        writer = self.writer
        hooks = TeacherHooks(
            tick=self._tick("teacher"), waiting=lambda text: writer.update_status(waiting=text)
        )
        # With a checkpoint the teacher's lines are there already, whoever removed the teacher since.
        if continuation(writer) is None:
            hooks = replace(hooks, begin=writer.keep_teacher_lines, line=writer.line)
        teacher = self.once("teacher", lambda: finetuned_teacher(wanted, hooks), wanted.device)
        if order := label_order(wanted.folder):
            writer.log.info("%s", order["message"])
            writer.add_to_config({"teacher_labels": order})
        return teacher

    def budget(self, folder: Path) -> Budget:
        """Of memory and disk, for all outputs of the teacher together."""
        config, request = self.request.config, self.request
        return Budget(
            folder=folder,
            memory_bytes=config.cache_memory_mb * MEBIBYTE,
            disk_bytes=config.cache_disk_mb * MEBIBYTE,
            leave_bytes=self.shared.num_students * checkpoint_bytes(request.student_parameters, config),
            mode=config.cache,
        )

    def evaluation_outputs(
        self, teacher: nn.Module, evaluations: Mapping[str, EncodedSet], budget: Budget
    ) -> tuple[dict[str, TeacherOutputs], Budget]:
        """The teacher's outputs for the evaluation sets by name, and what they leave of the budget. Whatever
        the arithmetic of training, what is measured is measured in float32: a stranger can recompute it.
        """
        found = {}
        for name, encoded in evaluations.items():
            found[name] = self._outputs(teacher, encoded, self.request.evaluation_needs, budget)
            budget = replace(budget, memory_bytes=budget.memory_bytes - found[name].memory_bytes)
        return found, budget

    def train_outputs(self, teacher: nn.Module, wanted: WantedTeacher, budget: Budget) -> TeacherOutputs:
        """The teacher's outputs for training, in its arithmetic."""
        how = {"arithmetic": self.request.arithmetic.dtype, "run_in": wanted.run_in}
        return self._outputs(teacher, wanted.train, self.request.training_needs, budget, **how)

    def _outputs(
        self, teacher: nn.Module, encoded: EncodedSet, needs: Needs, budget: Budget, **how: Any
    ) -> TeacherOutputs:
        """The outputs of one set. What else the disk is to hold is each student's own, and no part of what
        they share.
        """
        return self.once(
            "outputs",
            lambda: teacher_outputs(
                teacher, encoded, needs, budget, tick=self._tick("teacher_outputs"), **how
            ),
            encoded.fingerprint,
            needs,
            replace(budget, leave_bytes=0),
            *how,
        )

    def _tick(self, phase: str) -> Callable[[float], None]:
        def report(share: float) -> None:
            self.check_stop()
            self.writer.update_status(phase=phase, phase_progress=round(share, 4))

        return report


def make_student(prepared: Prepared) -> nn.Module:
    """The student before its first step, on the run's device."""
    config = prepared.config
    generator = torch.Generator().manual_seed(derived_seed("student", config.seed))
    source = (
        load_classifier(prepared.student_checkpoint.folder, prepared.task.num_labels, generator)
        if config.init != "teacher"
        else prepared.teacher
    )
    student = build_student(
        init=config.init, pairs=prepared.pairs, teacher=prepared.teacher, source=source, generator=generator
    )
    for parameter in student.parameters():
        parameter.requires_grad = True
    return student.to(prepared.device)
