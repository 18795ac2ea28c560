"""The loops that the benchmark times: ours by strategy and stage, transformers' Trainer, and the floor
beneath all.

Each loop passes once over the same examples and says how many seconds that took. Ours is the loop of real
runs, with its metrics lines and status file, without the moments at which maps are stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from kdviz.config import RunConfig
from kdviz.data.encoded import EncodedSet, RecentBatches
from kdviz.files import read_json, write_json
from kdviz.jobs.create import create_run
from kdviz.method.losses import hard_label_loss
from kdviz.models.build import load_classifier
from kdviz.models.checkpoint import resolve
from kdviz.models.export import save_model
from kdviz.models.families import family_of
from kdviz.models.trace import classify, trace
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.layout import RunFiles, teacher_of
from kdviz.runs.writer import RunWriter
from kdviz.tasks import TASKS
from kdviz.training.distill import Distillation
from kdviz.training.prepare import prepare
from kdviz.training.request import recorded_request
from kdviz.training.seeds import derived_seed
from kdviz.training.shared import Shared
from kdviz.training.teacher import FineTuning
from kdviz.training.teacher_outputs import TeacherOutputs

# What `clock` can be. Processor time leaves out what other processes take: for a busy machine, with one
# thread.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class OwnLoop:
    """A run that is prepared like any other; its stages can be trained one pass at a time.

    The teacher is the checkpoint as it comes, not fine-tuned: the speed does not depend on its weights. So
    loops may share teacher (`shared`) and student (`student_of`), and a large model is in memory once.
    """

    def __init__(
        self,
        name: str,
        config: RunConfig,
        runs_dir: Path,
        clock: Callable[[], float] = time.perf_counter,
        *,
        shared: Shared | None = None,
        student_of: OwnLoop | None = None,
    ):
        self.clock = clock
        folder = create_run(config, runs_dir, name)
        asked = read_json(RunFiles(folder).config)
        place_teacher(config, teacher_of(runs_dir, asked["teacher_fingerprint"]))
        asked |= {"num_threads": torch.get_num_threads()}
        write_json(RunFiles(folder).config, asked)
        self.folder, self.asked = folder, asked
        self.prepared = prepare(RunWriter(folder), recorded_request(asked), lambda: None, shared)
        self.train_on(self.prepared.train, self.prepared.train_outputs)
        self.distillation = Distillation(self.prepared, RunWriter(folder), lambda: None)
        self.distillation.moments = frozenset()
        if student_of is not None:
            for part in ("student", "optimizer", "generator"):
                setattr(self.distillation, part, getattr(student_of.distillation, part))

    def train_on(self, train: EncodedSet, outputs: TeacherOutputs) -> None:
        """Train on these examples and the teacher's outputs for them; every pass makes its batches anew."""
        self.prepared.train, self.prepared.train_outputs = train, outputs
        self.prepared.batches = RecentBatches(train, self.prepared.device, 0)

    @property
    def num_internal_stages(self) -> int:
        return sum(stage.classification == "none" for stage in self.distillation.schedule.stages)

    def order(self) -> list:
        """The batches of a pass, as positions: the same in every pass, and for every loop with the same
        seed.
        """
        config = self.prepared.config
        return self.prepared.train.training_order(
            batch_size=config.batch_size, seed=derived_seed("order", config.seed), epoch=0
        )

    def train(self, stage: int = 0) -> float:
        """Seconds of one pass in that stage."""
        self.distillation.schedule.index, self.distillation.step = stage, 0
        begin = self.clock()
        for _ in self.distillation.train_epoch():
            pass
        wait_for(self.prepared.device)
        return self.clock() - begin

    def floor(self) -> float:
        """Seconds of the student's forward and backward alone, with hard labels, on the same batches made
        before.
        """
        student, device = self.distillation.student, self.prepared.device
        batches = [self.prepared.train.batch(positions).to(device) for positions in self.order()]
        for parameter in student.parameters():
            parameter.requires_grad = True
        student.train()
        wait_for(device)
        begin = self.clock()
        for batch in batches:
            with self.prepared.run_in():
                logits = classify(
                    student, trace(student, *batch.inputs, generator=self.distillation.generator).last
                )
            hard_label_loss(logits, batch.labels).backward()
            student.zero_grad(set_to_none=True)
        wait_for(device)
        return self.clock() - begin

    def arithmetic_limit(self) -> float:
        """Seconds of the matrix products alone that the student's layers need for a pass, forward and
        backward, in the arithmetic of the loop: nothing that does them can be faster on this machine.
        """
        student, device = self.distillation.student, self.prepared.device
        config, family = student.config, family_of(student)
        hidden, inner = config.hidden_size, getattr(config, family.inner_width_name)
        dtype = getattr(torch, self.asked["dtype"])
        shapes = [(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]
        weights = [torch.randn(shape, dtype=dtype, device=device) for shape in shapes]
        passes = []
        for positions in self.order():
            num_tokens = self.prepared.train.batch(positions).input_ids.numel()
            passes.append([torch.randn(num_tokens, width, dtype=dtype, device=device) for width, _ in shapes])
        wait_for(device)
        begin = self.clock()
        for inputs in passes:
            for _ in range(config.num_hidden_layers):
                for rows, weight in zip(inputs, weights, strict=True):
                    output = rows @ weight
                    output @ weight.T  # gradient of the input
                    rows.T @ output  # gradient of the weight
        wait_for(device)
        return self.clock() - begin


class OwnTeacherLoop:
    """Fine-tuning a teacher as a run does it, one epoch in a pass."""

    def __init__(self, own: OwnLoop):
        prepared = own.prepared
        self._own = own
        model = load_classifier(prepared.teacher_folder, prepared.task.num_labels).to(prepared.device)
        self._tuning = FineTuning(
            prepared.config, model, prepared.train, device=prepared.device, run_in=prepared.run_in
        )

    def train(self) -> float:
        """Seconds of one pass."""
        begin = self._own.clock()
        for _ in self._tuning.epoch(0):
            pass
        wait_for(self._own.prepared.device)
        return self._own.clock() - begin


class TrainerLoop:
    """Plain fine-tuning of a model with transformers' Trainer and its default optimiser."""

    def __init__(self, own: OwnLoop, model: torch.nn.Module, folder: Path):
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._own, self._folder = own, folder
        save_model(model, own.prepared.checkpoint.folder, folder, own.prepared.task.labels)
        self._model = AutoModelForSequenceClassification.from_pretrained(folder)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        train = own.prepared.train
        self._without = () if family_of(self._model).has_token_types else ("token_type_ids",)
        self._features = [
            self._known(
                {
                    "input_ids": train.tokens[begin:end].tolist(),
                    "token_type_ids": train.types[begin:end].tolist(),
                    "attention_mask": [1] * int(end - begin),
                    "labels": int(label),
                }
            )
            for begin, end, label in zip(train.offsets, train.offsets[1:], train.labels)
        ]

    def _known(self, features: dict) -> dict:
        """The inputs that the model takes."""
        return {name: value for name, value in features.items() if name not in self._without}

    def train(self, *, same_batches: bool = False) -> float:
        """Seconds of one pass: as a user runs it (random order, padding to the longest of a batch), or on our
        batches.
        """
        from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

        own, times = self._own, {}
        batches = (
            [self._known(_features_of(own.prepared.train.batch(positions))) for positions in own.order()]
            if same_batches
            else []
        )

        class Stopwatch(TrainerCallback):
            def on_train_begin(self, *_: object, **__: object) -> None:
                times["begin"] = own.clock()

            def on_train_end(self, *_: object, **__: object) -> None:
                wait_for(own.prepared.device)
                times["end"] = own.clock()

        class SameBatches(Trainer):
            def get_train_dataloader(self) -> torch.utils.data.DataLoader:
                return torch.utils.data.DataLoader(batches, batch_size=None)

        on_cpu = own.prepared.device.type == "cpu"
        arguments = TrainingArguments(
            output_dir=str(self._folder),
            per_device_train_batch_size=own.prepared.config.batch_size,
            num_train_epochs=1,
            learning_rate=own.prepared.config.learning_rate,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=on_cpu,
            dataloader_pin_memory=not on_cpu,
            bf16=own.asked["dtype"] == "bfloat16",
        )
        trainer = (SameBatches if same_batches else Trainer)(
            model=self._model,
            args=arguments,
            train_dataset=self._features,
            data_collator=DataCollatorWithPadding(self._tokenizer),
            callbacks=[Stopwatch()],
        )
        for handler in [
            callback
            for callback in trainer.callback_handler.callbacks
            if type(callback).__name__ == "PrinterCallback"
        ]:
            trainer.remove_callback(handler)
        trainer.train()
        return times["end"] - times["begin"]


def _features_of(batch) -> dict:
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "token_type_ids": batch.token_type_ids,
        "labels": batch.labels,
    }


def place_teacher(config: RunConfig, folder: Path) -> None:
    """Put the pretrained checkpoint where a run looks for its fine-tuned teacher."""
    if not (folder / SAFETENSORS).exists():
        checkpoint = resolve(config.teacher)
        save_model(
            load_classifier(
                checkpoint.folder, TASKS[config.task].num_labels, torch.Generator().manual_seed(0)
            ),
            checkpoint.folder,
            folder,
            TASKS[config.task].labels,
        )


def wait_for(device: torch.device) -> None:
    """Let the device finish what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def quiet() -> None:
    """No progress bars and notices of the libraries: standard output is one JSON object."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
