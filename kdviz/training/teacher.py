"""Fine-tuning a teacher once, and keeping it by fingerprint."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from kdviz.config import RunConfig
from kdviz.data.encoded import Batch, EncodedSet
from kdviz.errors import RequestError, RunFailed
from kdviz.files import kept_sum, object_in, write_json
from kdviz.locks import exclusive
from kdviz.method import losses
from kdviz.method.objective import Terms
from kdviz.method.targets import Needs
from kdviz.models.answer import RunIn, answer
from kdviz.models.build import load_classifier, reorder_classes
from kdviz.models.checkpoint import Checkpoint
from kdviz.models.export import save_model
from kdviz.models.labels import LabelOrder, measured_order, order_by_names
from kdviz.models.trace import seed_dropout
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.checkpoint import Damaged, Saved, drop_older, latest, load_epoch, save_epoch
from kdviz.runs.layout import teacher_of
from kdviz.task import Task
from kdviz.training.device import arithmetic, choose_device
from kdviz.training.epoch import Recipe, train_epoch_of
from kdviz.training.evaluate import predict
from kdviz.training.events import Event, StepDone
from kdviz.training.listeners import LossLines
from kdviz.training.optimise import make_optimizer
from kdviz.training.request import Request
from kdviz.training.seeds import derived_seed
from kdviz.training.used_rows import train_used_rows

TEACHER_LINES = 60


class TeacherState(Saved):
    """What a checkpoint of the fine-tuning keeps beside weights and moments."""

    epoch: int


@dataclass(frozen=True, kw_only=True)
class TeacherHooks:
    """What the fine-tuning tells: `begin` the step it starts at, `line` records for metrics.jsonl, `tick` the
    share done (may raise), `waiting` what is waited for, in words, None once it is over.
    """

    begin: Callable[[int], None] = lambda step: None
    line: Callable[[dict[str, Any]], None] = lambda record: None
    tick: Callable[[float], None] = lambda share: None
    waiting: Callable[[str | None], None] = lambda text: None


@dataclass(frozen=True, kw_only=True)
class WantedTeacher:
    """A teacher as a run asks for it: what it is made from, and the `folder` it is kept in, which is named
    after its fingerprint.

    `label_rows`: the classifier's row of each class, where the checkpoint names them; where it does not and
    is used as it is, the order is measured on `evaluation`.
    """

    config: RunConfig
    task: Task
    checkpoint: Checkpoint
    train: EncodedSet
    evaluation: EncodedSet
    folder: Path
    device: torch.device
    run_in: RunIn = nullcontext
    label_rows: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls, request: Request, runs_dir: Path, *, train: EncodedSet, evaluation: EncodedSet
    ) -> "WantedTeacher":
        """The teacher that a request asks for, with its examples tokenised, kept beside the runs in
        `runs_dir`.
        """
        device, _ = choose_device(request.config.device_choice)
        return cls(
            config=request.config,
            task=request.task,
            checkpoint=request.checkpoint,
            train=train,
            evaluation=evaluation,
            folder=teacher_of(runs_dir, request.teacher_fingerprint),
            device=device,
            run_in=arithmetic(device, getattr(torch, request.arithmetic.dtype)),
            label_rows=request.label_rows,
        )

    def beside(self, what: str) -> Path:
        """A hidden name beside the folder: what is not the finished teacher yet."""
        return self.folder.with_name(f".{self.folder.name}.{what}")


def finetuned_teacher(wanted: WantedTeacher, hooks: TeacherHooks = TeacherHooks()) -> nn.Module:
    """That teacher: loaded where it exists, else fine-tuned, resuming after a break.

    In eval mode, without gradients; nothing here or later updates it. Another run that needs the same teacher
    waits. RunFailed where a kept one is damaged, or the loss becomes no number.
    """
    folder = wanted.folder
    while not (folder / SAFETENSORS).exists():
        with exclusive(wanted.beside("lock")) as ours:
            if not ours:
                hooks.waiting("waiting for another run that is fine-tuning this teacher")
                hooks.tick(0.0)
                time.sleep(0.2)
            elif not (folder / SAFETENSORS).exists():
                hooks.waiting(None)
                _finetune(wanted, hooks)
    hooks.waiting(None)
    try:
        if not _is_as_written(folder):
            raise OSError("its weights are not as they were written")
        teacher = load_classifier(folder, wanted.task.num_labels, is_whole=True).to(wanted.device)
    except (OSError, SafetensorError, RequestError) as error:
        raise RunFailed(
            f"the kept teacher in {folder} is damaged ({str(error).splitlines()[0][:120]}); remove that "
            "folder and resume: it is made again"
        ) from error
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    return teacher


class FineTuning:
    """Plain fine-tuning of `model`, a classifier on `device`, with hard labels."""

    def __init__(
        self,
        config: RunConfig,
        model: nn.Module,
        train: EncodedSet,
        *,
        device: torch.device,
        run_in: RunIn = nullcontext,
    ):
        self.config, self.model, self.train = config, model, train
        self.device, self._run_in = device, run_in
        self._generator = torch.Generator(device=device)
        seed_dropout(self.model, self._generator)
        train_used_rows(self.model, train.ids_in_batches)
        self.optimizer = make_optimizer(
            self.model, learning_rate=config.teacher_learning_rate, weight_decay=config.weight_decay
        )
        self.steps_per_epoch = config.steps_per_epoch(len(train))
        self.recipe = Recipe(
            seed=derived_seed("teacher", config.data_seed),
            total_steps=self.steps_per_epoch * config.teacher_epochs,
            learning_rate=config.teacher_learning_rate,
            warmup_share=config.warmup_share,
            max_grad_norm=config.max_grad_norm,
        )

    def epoch(self, number: int, before_step: Callable[[int], None] = lambda step: None) -> Iterator[Event]:
        """Train that epoch (0-based); `before_step` hears how many steps were taken, and may raise."""
        order = self.train.training_order(
            batch_size=self.config.batch_size, seed=self.recipe.seed, epoch=number
        )
        return train_epoch_of(
            self.model,
            self.optimizer,
            self._generator,
            self.recipe,
            order,
            batch_of=lambda positions: self.train.batch(positions).to(self.device),
            terms_of=self._terms,
            first_step=number * self.steps_per_epoch,
            before_step=before_step,
        )

    def _terms(self, batch: Batch) -> Terms:
        found = answer(self.model, batch.inputs, Needs(), generator=self._generator, run_in=self._run_in)
        loss = losses.hard_label_loss(found.known_logits, batch.labels)
        return Terms(total=loss, classification={"hard": loss})


def _finetune(wanted: WantedTeacher, hooks: TeacherHooks) -> None:
    """Fine-tune and write the teacher; a checkpoint after every epoch but the last in a hidden folder beside
    the final one.
    """
    partial, num_epochs = wanted.beside("partial"), wanted.config.teacher_epochs
    tuning, order = _before_first_step(wanted, hooks)
    first_epoch = 0
    if found := latest(partial):
        try:
            state = load_epoch(found, TeacherState, model=tuning.model, optimizer=tuning.optimizer)
            first_epoch = state["epoch"]
        except Damaged:  # from the beginning it becomes the same teacher
            shutil.rmtree(partial)
            tuning, order = _before_first_step(wanted, hooks)
    begin, total_steps = time.perf_counter(), tuning.recipe.total_steps
    hooks.begin(first_epoch * tuning.steps_per_epoch)

    def write(event: StepDone, means: dict[str, Any], num_steps: int) -> None:
        hooks.line(
            {
                "kind": "teacher",
                "step": event.step,
                "total_steps": total_steps,
                "epoch": event.step / tuning.steps_per_epoch,
                "loss": means["total"],
                "seconds": time.perf_counter() - begin,
            }
        )

    lines = LossLines(
        total_steps // TEACHER_LINES,
        write,
        what="the loss of the teacher's fine-tuning",
        advice="lower teacher_learning_rate",
    )
    for epoch in range(first_epoch, num_epochs):
        for event in tuning.epoch(epoch, before_step=lambda step: hooks.tick(step / total_steps)):
            lines(event)
        done = epoch + 1
        if done < num_epochs:
            save_epoch(partial, done, model=tuning.model, optimizer=tuning.optimizer, state={"epoch": done})
            drop_older(partial, done)
    tuning.model.eval()
    _keep(wanted, tuning.model, order, seconds=time.perf_counter() - begin)
    shutil.rmtree(partial, ignore_errors=True)


def _before_first_step(wanted: WantedTeacher, hooks: TeacherHooks) -> tuple[FineTuning, LabelOrder | None]:
    """The fine-tuning from its beginning, and how the classes that came with the checkpoint were put in the
    task's order; None where there is nothing to order, because the classifier is trained from here on.
    """
    config, task, checkpoint = wanted.config, wanted.task, wanted.checkpoint
    weights = torch.Generator().manual_seed(derived_seed("teacher", config.data_seed))
    model = load_classifier(checkpoint.folder, task.num_labels, weights).to(wanted.device)
    order = None
    if wanted.label_rows is not None:
        order = order_by_names(checkpoint.label_names or (), wanted.label_rows, task)
    elif config.teacher_epochs == 0:
        labels = wanted.evaluation.labels.astype(np.int64)
        logits = predict(model, wanted.evaluation, tick=lambda: hooks.tick(0.0))
        order = measured_order(logits, labels, task)
    if order is not None:
        reorder_classes(model, order.rows)
    return FineTuning(config, model, wanted.train, device=wanted.device, run_in=wanted.run_in), order


def _keep(wanted: WantedTeacher, model: nn.Module, order: LabelOrder | None, *, seconds: float) -> None:
    """Write the finished teacher with the record of what it was made from, and put it in its place."""
    config, task, checkpoint = wanted.config, wanted.task, wanted.checkpoint
    whole = wanted.beside("whole")
    shutil.rmtree(whole, ignore_errors=True)
    save_model(model, checkpoint.folder, whole, task.labels)
    write_json(
        whole / "teacher.json",
        {
            "task": task.name,
            "checkpoint": checkpoint.name,
            "weights_sha256": checkpoint.weights_sha256,
            "train_examples": len(wanted.train),
            "train_fingerprint": wanted.train.fingerprint,
            "epochs": config.teacher_epochs,
            "learning_rate": config.teacher_learning_rate,
            "batch_size": config.batch_size,
            "seed": config.data_seed,
            "seconds": seconds,
            "labels": order.record() if order else None,
            "sha256": kept_sum(whole / SAFETENSORS),
        },
    )
    _install(whole, wanted.folder)


def label_order(folder: Path) -> dict[str, Any] | None:
    """How the classes of the teacher in `folder` were put in order, and why; None where it was trained."""
    labels = object_in(folder / "teacher.json").get("labels")
    return labels if isinstance(labels, dict) else None


def _install(whole: Path, folder: Path) -> None:
    """Move the finished files into `folder`, the weights last: their presence says that the teacher is
    whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(whole.iterdir(), key=lambda path: path.name == SAFETENSORS):
        path.replace(folder / path.name)
    whole.rmdir()


def _is_as_written(folder: Path) -> bool:
    """Whether a kept teacher's weights have the sum they were written with: other ones would teach another
    student without a word. One of an older version has no sum.
    """
    written = object_in(folder / "teacher.json").get("sha256")
    return written is None or written == kept_sum(folder / SAFETENSORS)
