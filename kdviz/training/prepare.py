"""From a run's config to everything the loop needs: data, tokenizer, teacher with its outputs, probes,
student.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from kdviz.runs.layout import encoded_sets_of, teacher_of
from kdviz.runs.writer import RunWriter
from kdviz.task import Task
from kdviz.training.continuation import continuation
from kdviz.training.device import arithmetic, choose_device
from kdviz.training.export_check import sample_rows
from kdviz.training.probes import Probes, make_probes
from kdviz.training.request import Request
from kdviz.training.seeds import derived_seed
from kdviz.training.shared import Shared
from kdviz.training.teacher import TeacherHooks, WantedTeacher, finetuned_teacher, label_order
from kdviz.training.teacher_outputs import TeacherOutputs, teacher_outputs

RECENT_BATCHES = 4


@dataclass(kw_only=True)
class Prepared:
    """Everything the loop reads. `evaluations` by name, the main one first; `samples`, a few of its examples
    as text by their position.
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
    train_outputs: TeacherOutputs
    evaluation_outputs: dict[str, TeacherOutputs]
    probes: Probes
    batches: RecentBatches

    @property
    def num_teacher_layers(self) -> int:
        return as_classifier(self.teacher).config.num_hidden_layers


def prepare(
    writer: RunWriter, request: Request, check_stop: Callable[[], None], shared: Shared | None = None
) -> Prepared:
    """Load and compute all that a run needs, telling phase and progress in status.json. `shared` holds what
    other students that are trained with this one have made, and takes what this one makes.
    """
    config, checkpoint, runs_dir = request.config, request.checkpoint, writer.folder.parent
    for warning in request.warnings:
        writer.log.warning("%s", warning)
    is_alone, shared = shared is None, shared or Shared()
    # What all that is shared is made from: students of another teacher or other data share nothing.
    origin = (request.teacher_fingerprint, request.arithmetic.dtype, fingerprint(request.evaluation))
    tokenizer, cache = (
        shared.once((origin, "tokenizer"), lambda: Tokenizer(checkpoint.folder, config.max_length)),
        encoded_sets_of(runs_dir),
    )
    train, evaluations = shared.once((origin, "sets"), lambda: _encode(tokenizer, request, cache, check_stop))
    check_stop()
    device, _ = choose_device(config.device_choice)
    run_in = arithmetic(device, getattr(torch, request.arithmetic.dtype))

    def tick(phase: str) -> Callable[[float], None]:
        def report(share: float) -> None:
            check_stop()
            writer.update_status(phase=phase, phase_progress=round(share, 4))

        return report

    teacher_folder = teacher_of(runs_dir, request.teacher_fingerprint)
    hooks = TeacherHooks(tick=tick("teacher"), phase=lambda text: writer.update_status(waiting=text))
    # With a checkpoint the teacher's lines are there already, whoever removed the teacher since.
    if continuation(writer) is None:
        hooks = replace(hooks, begin=writer.keep_teacher_lines, line=writer.line)
    wanted = WantedTeacher.of(request, runs_dir, train=train, evaluation=next(iter(evaluations.values())))
    teacher = shared.once((origin, "teacher", device), lambda: finetuned_teacher(wanted, hooks))
    if order := label_order(teacher_folder):
        writer.log.info("%s", order["message"])
        writer.add_to_config({"teacher_labels": order})

    def outputs(encoded: EncodedSet, needs: Needs, memory_bytes: int, **how: Any) -> TeacherOutputs:
        budget: dict[str, Any] = dict(
            folder=teacher_folder / "outputs",
            memory_bytes=memory_bytes,
            disk_bytes=config.cache_disk_mb * MEBIBYTE,
            mode=config.cache,
        )
        leave_bytes = shared.num_students * checkpoint_bytes(request.student_parameters, config)
        return shared.once(
            (origin, "outputs", encoded.fingerprint, needs, *budget.values(), *how),
            lambda: teacher_outputs(
                teacher,
                encoded,
                needs,
                tick=tick("teacher_outputs"),
                leave_bytes=leave_bytes,
                **budget,
                **how,
            ),
        )

    # One budget of memory for all sets of a run. Whatever the arithmetic of training, what is measured is
    # measured in float32: a stranger can recompute it.
    memory_left, evaluation_outputs = config.cache_memory_mb * MEBIBYTE, {}
    for name, encoded in evaluations.items():
        evaluation_outputs[name] = outputs(encoded, request.evaluation_needs, memory_left)
        memory_left -= evaluation_outputs[name].memory_bytes
    train_outputs = outputs(
        train,
        request.training_needs,
        memory_left,
        arithmetic=request.arithmetic.dtype,
        run_in=run_in,
    )
    return Prepared(
        config=config,
        task=request.task,
        pairs=request.pairs,
        device=device,
        run_in=run_in,
        checkpoint=checkpoint,
        student_checkpoint=request.student_checkpoint or checkpoint,
        train=train,
        evaluations=evaluations,
        samples=sample_rows(request.evaluation),
        teacher=teacher,
        teacher_folder=teacher_folder,
        train_outputs=train_outputs,
        evaluation_outputs=evaluation_outputs,
        probes=shared.once((origin, "probes", device), lambda: make_probes(config.task, tokenizer, teacher)),
        batches=shared.once(
            (origin, "batches", device),
            lambda: RecentBatches(train, device, 0 if is_alone else RECENT_BATCHES),
        ),
    )


def _encode(
    tokenizer: Tokenizer, request: Request, cache: Path, check_stop: Callable[[], None]
) -> tuple[EncodedSet, dict[str, EncodedSet]]:
    """The training set, and the evaluation sets by name."""
    train = tokenizer.encode_set(request.train, cache, tick=check_stop)
    evaluations = {
        name: tokenizer.encode_set(examples, cache, tick=check_stop)
        for name, examples in request.evaluations.items()
    }
    return train, evaluations


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
