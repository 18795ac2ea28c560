"""What the default training makes of MiniLM on the sample data: each recorded score beside losses that the
training goes through, so that a test need not repeat minutes of what is known to come out the same.

    PYTHONPATH=. python tests/sample_scores.py     # measure anew, into sample_scores.json
"""

import contextlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "robustness"))

from tiny import make_teacher as write_tiny_teacher

from kdviz.config import RunConfig
from kdviz.data.encoded import Tokenizer
from kdviz.data.examples import fingerprint
from kdviz.data.sample import TASKS
from kdviz.errors import Stopped
from kdviz.jobs.create import create_run
from kdviz.jobs.execute import execute
from kdviz.method import losses
from kdviz.models.build import load_classifier
from kdviz.models.checkpoint import resolve
from kdviz.runs.reader import Run
from kdviz.training.request import Request, resolve_request
from kdviz.training.teacher_alone import make_teacher
from kdviz.training.teacher_score import teacher_score

RECORD = Path(__file__).with_suffix(".json")
FIRST_STEPS = 10
SHORT = {"train_size": 160, "batch_size": 8}
"""Of a training in small, of 40 steps in two epochs, every loss is compared: the ten first steps of the
default one end before its warm-up does.
"""
SAME = 1e-4
"""Losses of about 0.7 nats are the same within 1e-5 where nothing has changed, whichever instructions the
processor has (SSE, AVX2, AVX-512). In the first steps they differ by 4e-3 without dropout and by 8e-4 at 1.2
times the learning rate (SST-2); in the training in small by 2e-3 at 1.1 times (a student of one layer), and
by 2e-2 where the learning rate never falls, of which the first steps show nothing.
"""


class Training(Protocol):
    """One training of MiniLM. `name`: in the record; `short`: the settings in which it is a small one, None
    where another's shows what comes after the first steps; `request`: the default one with these changes;
    `basis`: what decides its score beside the program; `train` and `score`: carry it out and judge it.
    """

    name: str
    short: dict | None

    def request(self, runs_dir: Path, **changes: object) -> Request: ...

    def basis(self, request: Request) -> dict: ...

    def train(self, request: Request, runs_dir: Path) -> Path: ...

    def score(self, request: Request, folder: Path) -> dict: ...


@dataclass(frozen=True)
class Teacher:
    """The default fine-tuning on a task. On one thread: two wait for each other on a busy machine."""

    task: str

    @property
    def name(self) -> str:
        return f"{self.task} teacher"

    @property
    def short(self) -> dict | None:
        return {**SHORT, "teacher_epochs": 2} if self.task == "cola" else None

    def request(self, runs_dir: Path, **changes: object) -> Request:
        return resolve_request(RunConfig(task=self.task, source="sample", **changes))

    def basis(self, request: Request) -> dict:
        return {"teacher": request.teacher_fingerprint, "evaluation": fingerprint(request.evaluation)}

    def train(self, request: Request, runs_dir: Path) -> Path:
        return make_teacher(request, runs_dir, num_threads=1)

    def score(self, request: Request, folder: Path) -> dict:
        teacher = load_classifier(folder, request.task.num_labels)
        tokenizer = Tokenizer(request.checkpoint.folder, request.config.max_length)
        return teacher_score(teacher, folder, request.task, tokenizer.encode_set(request.evaluation))


@dataclass(frozen=True)
class Student:
    """A student of so many layers that learns CoLA from hard labels alone: what its teacher says counts for
    nothing, and a tiny one says it.
    """

    num_layers: int

    @property
    def name(self) -> str:
        return f"cola student of {self.num_layers}"

    @property
    def short(self) -> dict:
        return {**SHORT, "epochs": 2, "eval_size": 40}

    def request(self, runs_dir: Path, **changes: object) -> Request:
        teacher = write_tiny_teacher(runs_dir / "tiny", num_layers=6, hidden_size=48, num_heads=12)
        settings = dict(
            task="cola",
            source="sample",
            strategy="hard",
            student_layers=self.num_layers,
            student_checkpoint="minilm-l6",
            teacher=str(teacher),
            teacher_epochs=0,
            keep_checkpoints=False,
            snapshots=2,
        )
        return resolve_request(RunConfig(**{**settings, **changes}))

    def basis(self, request: Request) -> dict:
        names = ("epochs", "learning_rate", "batch_size", "max_length", "seed", "init", "matching")
        names += ("warmup_share", "weight_decay", "max_grad_norm")
        return {
            "weights": resolve("minilm-l6").weights_sha256[:16],
            "train": fingerprint(request.train),
            "evaluation": fingerprint(request.evaluation),
            **{name: getattr(request.config, name) for name in names},
        }

    def train(self, request: Request, runs_dir: Path) -> Path:
        folder = create_run(request, runs_dir)
        execute(folder, num_threads=1)
        return folder

    def score(self, request: Request, folder: Path) -> dict:
        line = Run(folder).evals[-1]
        return {"accuracy": line["metrics"]["accuracy"], "n": line["n"]}


def whole_score(training: Training, runs_dir: Path) -> dict:
    """The score that the default training reaches, carried out."""
    request = training.request(runs_dir)
    return training.score(request, training.train(request, runs_dir))


def losses_of(training: Training, request: Request, runs_dir: Path, at_most: int | None = None) -> list:
    """The losses of a training's steps in nats; after `at_most` it is stopped."""
    found, one_loss = [], losses.hard_label_loss

    def noted(*args: object) -> object:
        if len(found) == at_most:
            raise Stopped
        loss = one_loss(*args)
        found.append(float(loss.detach()))
        return loss

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Stopped):
        patch.setattr(losses, "hard_label_loss", noted)
        training.train(request, runs_dir)
    return found


def all_losses(training: Training, runs_dir: Path) -> dict[str, list[float]]:
    """By the names they have in the record."""
    first = losses_of(training, training.request(runs_dir), runs_dir, FIRST_STEPS)
    if training.short is None:
        return {"first_losses": first}
    short = losses_of(training, training.request(runs_dir, **training.short), runs_dir)
    return {"first_losses": first, "short_losses": short}


def known_score(training: Training, runs_dir: Path) -> dict | None:
    """The recorded score, where the training is the recorded one: of the same weights, examples and settings,
    and with the same losses, which are measured here. None where it is another, or none is recorded.
    """
    record = json.loads(RECORD.read_text(encoding="utf-8")).get(training.name, {})
    if record.get("basis") != training.basis(training.request(runs_dir)):
        return None
    for name, found in all_losses(training, runs_dir).items():
        known = record[name]
        if len(found) != len(known) or not np.allclose(found, known, rtol=0, atol=SAME):
            return None
    return record["score"]


def main() -> None:
    record = {}
    for training in (*map(Teacher, sorted(TASKS)), Student(1), Student(3)):
        with tempfile.TemporaryDirectory() as work:
            began = all_losses(training, Path(work))
            score = whole_score(training, Path(work))
            record[training.name] = {
                "basis": training.basis(training.request(Path(work))),
                **{name: [round(loss, 5) for loss in found] for name, found in began.items()},
                "score": {name: score[name] for name in ("accuracy", "n")},
            }
        print(training.name, record[training.name], flush=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
