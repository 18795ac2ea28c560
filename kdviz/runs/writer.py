"""Writing what training records into a run folder. Everything appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdviz.files import (
    file_sum,
    is_regular,
    json_line,
    object_in,
    read_json,
    write_arrays,
    write_bytes,
    write_json,
)
from kdviz.models.export import save_beside_weights
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.layout import RunFiles

if TYPE_CHECKING:
    from kdviz.training.evaluate import Evaluated

STATUS_INTERVAL_SECONDS = 0.5


def now() -> str:
    """UTC in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class _LogFile(logging.FileHandler):
    """A log that a full disk or a vanished folder makes shorter; it never hides the reason of what it was to
    record.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class RunWriter:
    """Writes one run's files. Held by whoever holds the run's lock; readers need nothing but the files."""

    def __init__(self, folder: Path, on_status: Callable[[dict], None] | None = None):
        self.folder, self._on_status = Path(folder), on_status
        self.files = RunFiles(self.folder)
        self.status: dict = object_in(self.files.status)
        self._last_status = 0.0
        self.log = logging.Logger(f"kdviz.run.{self.folder.name}")
        self._handler = _LogFile(self.files.log, encoding="utf-8", delay=True)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.log.addHandler(self._handler)

    def close(self) -> None:
        self._handler.close()

    def update_status(self, *, force: bool = False, **changes: object) -> None:
        """Merge `changes` into status.json; written at most every STATUS_INTERVAL_SECONDS unless forced."""
        self.status.update(changes)
        if force or time.monotonic() - self._last_status > STATUS_INTERVAL_SECONDS:
            if not self.files.config.exists():  # a folder that somebody removed would be made anew
                raise FileNotFoundError(errno.ENOENT, "the run's folder is gone", str(self.folder))
            self.status["updated"] = now()
            write_json(self.files.status, self.status)
            self._last_status = time.monotonic()
            if self._on_status:
                self._on_status(dict(self.status))

    def add_to_config(self, found: dict) -> None:
        """Add to config.json what was found out when the run began."""
        config = read_json(self.files.config)
        if not found.items() <= config.items():
            write_json(self.files.config, {**config, **found})

    def line(self, record: dict) -> None:
        """Append one record to metrics.jsonl."""
        with open(self.files.metrics, "a", encoding="utf-8") as file:
            file.write(json_line(record))

    def secured_metrics(self) -> dict[str, int | str]:
        """Size and sha256 of metrics.jsonl, after bringing it to the disk: a checkpoint builds on these
        lines.
        """
        with open(self.files.metrics, "ab") as file:
            os.fsync(file.fileno())
        content = self.files.metrics.read_bytes()
        return {"metrics_bytes": len(content), "metrics_sha256": hashlib.sha256(content).hexdigest()}

    def has_metrics(self, num_bytes: int, sha256: str | None) -> bool:
        """Whether metrics.jsonl still begins with the bytes that a checkpoint was written beside. `sha256` is
        None in a checkpoint of an older version, of which the end of a line is all that can be told.
        """
        if not is_regular(self.files.metrics):
            return False
        begins = self.files.metrics.read_bytes()[:num_bytes]
        if len(begins) != num_bytes:
            return False
        return begins[-1:] in (b"", b"\n") if sha256 is None else hashlib.sha256(begins).hexdigest() == sha256

    def cut_metrics(self, num_bytes: int, then: dict | None = None) -> None:
        """Keep the first `num_bytes` of metrics.jsonl (what a checkpoint had seen) and the record `then`
        behind them.

        Both in one replacement, as a new file: readers notice, and no kill in between can lose a finished
        epoch's line.
        """
        before = self.files.metrics.read_bytes() if self.files.metrics.exists() else b""
        content = before[:num_bytes] + (json_line(then).encode() if then else b"")
        if content == before:
            return
        write_bytes(self.files.metrics, content)
        for step in self.files.snapshot_steps():
            if f'"step": {step},'.encode() not in content:
                self.files.snapshot(step).unlink()

    def keep_teacher_lines(self, step: int | None = None) -> None:
        """Keep only the lines of the teacher's fine-tuning, up to `step` (default: all of them): training
        begins anew.
        """
        records = (
            [
                line
                for line in self.files.metrics.read_bytes().splitlines(keepends=True)
                if line.startswith(b'{"kind": "teacher",') and line.endswith(b"\n")
            ]
            if self.files.metrics.exists()
            else []
        )
        self.cut_metrics(
            sum(len(line) for line in records if step is None or json.loads(line)["step"] <= step)
        )

    def evaluation(self, epoch: int, evaluated: Evaluated) -> None:
        """Store the per-example results of an epoch."""
        write_arrays(
            self.files.evaluation(epoch),
            {
                "index": evaluated.index.astype(np.int32),
                "label": evaluated.labels.astype(np.int32),
                "teacher_logits": evaluated.teacher_logits,
                "student_logits": evaluated.student_logits,
                **evaluated.terms_by_pair(),
            },
        )

    def evaluation_sha256(self, epoch: int) -> str | None:
        """The sum of the stored results of an epoch; None where they cannot be read."""
        try:
            return file_sum(self.files.evaluation(epoch))
        except (OSError, ValueError):
            return None

    def has_evaluation(self, epoch: int, sha256: str | None) -> bool:
        """Whether the results of an epoch are there as they were written. `sha256` is None in a checkpoint of
        an older version, of which only that they can be read is told.
        """
        if sha256 is not None:
            return self.evaluation_sha256(epoch) == sha256
        return _arrays(self.files.evaluation(epoch)) is not None

    def evaluations(self) -> list[dict]:
        """The eval lines so far; none where nothing was recorded yet."""
        content = self.files.metrics.read_bytes() if is_regular(self.files.metrics) else b""
        lines = content.split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b'{"kind": "eval"')]

    def predictions(self, epoch: int) -> None:
        """Write predictions.jsonl from the stored evaluation of `epoch`."""
        from safetensors.numpy import load_file

        arrays = load_file(self.files.evaluation(epoch))
        rows = zip(
            *(arrays[name].tolist() for name in ("index", "label", "teacher_logits", "student_logits"))
        )
        keys = ("index", "label", "teacher_logits", "student_logits")
        write_bytes(
            self.files.predictions,
            "".join(json_line(dict(zip(keys, row))) for row in rows).encode(),
        )

    def student(self, weights: Path, config: dict, tokenizer_folder: Path) -> None:
        """Make student/ the weights in the file `weights` (linked where the disk can), with `config` and the
        tokenizer.
        """
        folder = self.files.student
        folder.mkdir(exist_ok=True)
        save_beside_weights(folder, config, tokenizer_folder)
        temporary = folder / ".model.tmp"
        temporary.unlink(missing_ok=True)
        try:
            os.link(weights, temporary)
        except OSError:  # exFAT and some network disks have no links
            shutil.copyfile(weights, temporary)
        os.replace(temporary, folder / SAFETENSORS)

    def card(self, text: str) -> None:
        """Write student/README.md, the model card."""
        write_bytes(self.files.student / "README.md", text.encode())

    def probes(self, rows: list[dict], teacher_maps: dict[str, np.ndarray]) -> None:
        """Store the probes with the teacher's answers, and the teacher's maps of them."""
        self.snapshot(None, teacher_maps)
        write_json(self.files.probes, rows)

    def has_probes(self, names: Sequence[str]) -> bool:
        """Whether the probes of those names are stored, and the teacher's maps of them."""
        maps = _arrays(self.files.snapshot(None))
        try:
            rows = read_json(self.files.probes)
            found = [row["id"] for row in rows]
        except (OSError, ValueError, TypeError, LookupError):
            return False
        return found == list(names) and maps is not None and maps.keys() == set(names)

    def summary(self, primary_metric: str, extra: dict) -> None:
        """Write summary.json from the eval lines so far: the last epoch, the best by the primary metric, and
        `extra`.
        """
        evals = self.evaluations()
        scores = [line["metrics"][primary_metric] for line in evals]
        best = evals[max(range(len(evals)), key=lambda place: _or_least(scores[place]))]
        keys = ("metrics", "intervals", "n", "teacher_metrics", "mismatch", "agreement", "logit_kl")
        summary = {
            "epoch": evals[-1]["epoch"],
            **{key: evals[-1][key] for key in keys},
            "best_epoch": best["epoch"],
            "best_metrics": best["metrics"],
            "primary_metric": primary_metric,
        }
        write_json(self.files.summary, summary | extra)

    def snapshot(self, step: int | None, maps: dict[str, np.ndarray]) -> None:
        """Store maps of the probes: the student's at `step`, or the teacher's (None)."""
        write_arrays(
            self.files.snapshot(step),
            {probe: array.astype(np.float32) for probe, array in maps.items()},
        )


def _or_least(score: float | None) -> float:
    """A score to compare; an evaluation without one is never the best."""
    return -math.inf if score is None else score


def _arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays in a safetensors file; None where it cannot be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError):
        return None
