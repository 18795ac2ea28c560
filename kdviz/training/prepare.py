"""From a run's config to everything the loop needs: data, tokenizer, teacher with its outputs, probes,
student.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from kdviz.config import RunConfig
from kdviz.data.encoded import Batch, EncodedSet, Tokenizer
from kdviz.errors import RequestError
from kdviz.method.targets import training_needs
from kdviz.method.terms import measured_terms
from kdviz.models.answer import RunIn
from kdviz.models.build import build_student, load_classifier
from kdviz.models.checkpoint import Checkpoint
from kdviz.runs.checkpoint import latest
from kdviz.runs.writer import RunWriter
from kdviz.tasks import Task
from kdviz.training.device import arithmetic, choose_device
from kdviz.training.evaluate import evaluation_needs
from kdviz.training.optimise import derived_seed
from kdviz.training.probes import Probes, make_probes
from kdviz.training.request import Request
from kdviz.training.teacher import TeacherHooks, finetuned_teacher
from kdviz.training.teacher_outputs import TeacherOutputs, teacher_outputs

MEBIBYTE = 1 << 20


@dataclass(kw_only=True)
class Prepared:
    """Everything the loop reads. `evaluations` by name, the main one first."""

    config: RunConfig
    task: Task
    pairs: tuple[tuple[int, int], ...]
    device: torch.device
    run_in: RunIn
    checkpoint: Checkpoint
    student_checkpoint: Checkpoint
    train: EncodedSet
    evaluations: dict[str, EncodedSet]
    teacher: nn.Module
    teacher_folder: Path
    train_outputs: TeacherOutputs
    evaluation_outputs: dict[str, TeacherOutputs]
    probes: Probes

    def batch_of(self, positions: np.ndarray) -> Batch:
        """The training examples at these positions, on the run's device."""
        return self.train.batch(positions).to(self.device)

    @property
    def num_teacher_layers(self) -> int:
        return self.teacher.config.num_hidden_layers


def prepare(writer: RunWriter, request: Request, check_stop: Callable[[], None]) -> Prepared:
    """Load and compute all that a run needs, telling phase and progress in status.json."""
    config, checkpoint, runs_dir = request.config, request.checkpoint, writer.folder.parent
    tokenizer, cache = Tokenizer(checkpoint.folder, config.max_length), runs_dir / "teachers" / ".encoded"
    train = tokenizer.encode_set(request.train, cache, tick=check_stop)
    evaluations = {
        name: tokenizer.encode_set(examples, cache, tick=check_stop)
        for name, examples in request.evaluations.items()
    }
    if max(int(encoded.tokens.max()) for encoded in (train, *evaluations.values())) >= checkpoint.vocab_size:
        raise RequestError(
            f"teacher: the tokenizer in {checkpoint.folder} has tokens beyond the model's vocabulary of "
            f"{checkpoint.vocab_size}; choose a checkpoint with its own tokenizer",
            field="teacher",
        )
    check_stop()
    device, _ = choose_device(config.device_choice)
    run_in = arithmetic(device, getattr(torch, request.arithmetic.dtype))

    def tick(phase: str) -> Callable[[float], None]:
        def report(share: float) -> None:
            check_stop()
            writer.update_status(phase=phase, phase_progress=round(share, 4))

        return report

    teacher_folder = runs_dir / "teachers" / request.teacher_fingerprint
    hooks = TeacherHooks(tick=tick("teacher"), phase=lambda text: writer.update_status(waiting=text))
    if (
        latest(writer.folder / "checkpoints") is None
    ):  # else the lines of this run are there already, whoever removed its teacher
        hooks = replace(hooks, begin=writer.keep_teacher_lines, line=writer.line)
    teacher = finetuned_teacher(
        config,
        request.task,
        checkpoint,
        train,
        folder=teacher_folder,
        device=device,
        run_in=run_in,
        hooks=hooks,
    )
    budget = dict(
        folder=teacher_folder / "outputs",
        memory_bytes=config.cache_memory_mb * MEBIBYTE,
        disk_bytes=config.cache_disk_mb * MEBIBYTE,
        mode=config.cache,
        tick=tick("teacher_outputs"),
    )
    train_outputs = teacher_outputs(
        teacher,
        train,
        training_needs(config, request.pairs),
        arithmetic=request.arithmetic.dtype,
        run_in=run_in,
        **budget,
    )
    wanted = evaluation_needs(
        [layer for _, layer in request.pairs],
        range(checkpoint.num_layers),
        measured_terms(config.terms if config.uses_internal_terms else ()),
    )
    # Whatever the arithmetic of training, what is measured is measured in float32: a stranger can recompute
    # it.
    evaluation_outputs = {
        name: teacher_outputs(teacher, encoded, wanted, **budget) for name, encoded in evaluations.items()
    }
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
        teacher=teacher,
        teacher_folder=teacher_folder,
        train_outputs=train_outputs,
        evaluation_outputs=evaluation_outputs,
        probes=make_probes(config.task, tokenizer, teacher),
    )


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
