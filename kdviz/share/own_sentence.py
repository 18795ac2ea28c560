"""Asking a finished (or still training) run about one's own sentence: maps and predictions of both models."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from kdviz.errors import RequestError, one_line
from kdviz.files import is_regular, stamp_of
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.reader import Run
from kdviz.share.stored_models import are_stored, open_stored, student_weights, teacher_weights
from kdviz.share.view import MAX_TEXT_CHARACTERS
from kdviz.visible import has_visible

STORED_ON = "minilm-l6"  # the checkpoint that every installation has, on which the demo's models are stored
_models: LRUCache[Hashable, Any] = LRUCache(maxsize=4)
_guard = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`tokens` with special ones marked; maps (layers, heads, query, key) and logits (classes,) of both;
    `truncated`: whether the text was cut.
    """

    tokens: tuple[str, ...]
    teacher_maps: np.ndarray
    student_maps: np.ndarray
    teacher_logits: np.ndarray
    student_logits: np.ndarray
    truncated: bool


def epochs_with_weights(run: Run) -> list[int]:
    """Epochs whose student can be asked: those kept, and the last evaluated one."""
    if are_stored(run):
        return [run.evals[-1]["epoch"]]
    kept = run.files.kept_epochs()
    has_last = run.evals and is_regular(run.files.student / SAFETENSORS)
    last = [run.evals[-1]["epoch"]] if has_last else []
    return sorted({*kept, *last})


def can_be_asked(run: Run) -> bool:
    """Whether the weights of both models are there (most runs of the stored demo keep none)."""
    if are_stored(run):
        return run.config["teacher"] == STORED_ON
    return bool(epochs_with_weights(run)) and is_regular(run.teacher_folder / SAFETENSORS)


def ask(run: Run, text_a: str, text_b: str | None = None, epoch: int | None = None) -> Answer:
    """Maps and predictions of teacher and student for a sentence (or pair), after `epoch` (default: the
    last).

    RequestError where the text is empty or the weights are not stored. Longer texts than the run's max_length
    are cut.
    """
    if not has_visible(f"{text_a}{text_b or ''}"):  # one empty half of a pair has maps: data hold such rows
        raise RequestError(
            "text: expected a sentence with at least one visible character, got none; type one",
            field="text_a",
        )
    if not can_be_asked(run):
        raise RequestError(
            f"run {run.id!r} has no stored weights, so it cannot be asked about a new sentence; start a "
            "short run of your own",
            field="run_id",
        )
    epochs = epochs_with_weights(run)
    chosen = epochs[-1] if epoch is None else min(epochs, key=lambda kept: (abs(kept - epoch), kept))
    tokenizer, teacher, student = _loaded(run, chosen)
    clean = [
        text.encode("utf-8", "replace").decode()[:MAX_TEXT_CHARACTERS] if text is not None else None
        for text in (text_a, text_b)
    ]
    ids, types, truncated = tokenizer.encode(*clean)
    teacher_maps, teacher_logits = _run(teacher, ids, types)
    student_maps, student_logits = _run(student, ids, types)
    cut = truncated or any(text is not None and len(text) > MAX_TEXT_CHARACTERS for text in (text_a, text_b))
    return Answer(
        tokens=tokenizer.tokens(ids),
        teacher_maps=teacher_maps,
        student_maps=student_maps,
        teacher_logits=teacher_logits,
        student_logits=student_logits,
        truncated=cut,
    )


def _run(model, ids: list[int], types: list[int]) -> tuple[np.ndarray, np.ndarray]:
    import torch

    from kdviz.models.trace import classify, trace

    input_ids, type_ids = torch.tensor([ids]), torch.tensor([types])
    with torch.no_grad():
        traced = trace(
            model,
            input_ids,
            torch.ones_like(input_ids),
            type_ids,
            record=range(model.config.num_hidden_layers),
        )
        logits = classify(model, traced.last)[0].numpy()
    return np.stack([traced.log_probs[layer][0].exp().numpy() for layer in sorted(traced.log_probs)]), logits


def _loaded(run: Run, epoch: int) -> tuple:
    """(tokenizer, teacher, student after `epoch`), the last few kept in memory."""
    from kdviz.data.encoded import Tokenizer
    from kdviz.models.build import load_classifier

    if are_stored(run):
        return _loaded_from_stored(run)
    num_labels, teacher_folder, student_folder = (
        len(run.config["labels"]),
        run.teacher_folder,
        _student_folder(run, epoch),
    )
    tokenizer = _kept(
        ("tokenizer", teacher_folder, run.config["max_length"]),
        lambda: Tokenizer(teacher_folder, run.config["max_length"]),
    )
    teacher = _kept(
        ("model", teacher_folder, stamp_of(teacher_folder / SAFETENSORS)),
        lambda: load_classifier(teacher_folder, num_labels, is_whole=True),
    )
    student = _kept(
        ("model", student_folder, stamp_of(student_folder / SAFETENSORS)),
        lambda: _student(run, student_folder, num_labels),
    )
    return tokenizer, teacher, student


def _loaded_from_stored(run: Run) -> tuple:
    from kdviz.data.encoded import Tokenizer
    from kdviz.models.checkpoint import resolve

    checkpoint, num_labels = resolve(run.config["teacher"]), len(run.config["labels"])
    whole = tuple((layer, layer) for layer in range(checkpoint.num_layers))
    teacher, student = teacher_weights(run.folder, run.config), student_weights(run.folder)
    return (
        _kept(
            ("tokenizer", checkpoint.folder, run.config["max_length"]),
            lambda: Tokenizer(checkpoint.folder, run.config["max_length"]),
        ),
        _kept(("stored", teacher), lambda: open_stored(teacher, checkpoint, num_labels, whole)),
        _kept(("stored", student), lambda: open_stored(student, checkpoint, num_labels, run.pairs)),
    )


def _student_folder(run: Run, epoch: int) -> Path:
    """student/ for the last evaluated epoch, whose weights it holds exactly: kept copies are in half
    precision, and a borderline sentence would be answered otherwise here than in the evaluation.
    """
    exact = run.files.student
    if run.evals and run.evals[-1]["epoch"] == epoch and is_regular(exact / SAFETENSORS):
        return exact
    return run.checkpoint_folder(epoch) or exact


def _student(run: Run, folder: Path, num_labels: int):
    """A student from student/, or with the weights of a kept epoch, which share its config."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from kdviz.models.build import load_classifier

    student = load_classifier(run.files.student, num_labels, is_whole=True, role="student")
    if folder != run.files.student:
        try:
            student.load_state_dict(
                {name: tensor.float() for name, tensor in load_file(folder / SAFETENSORS).items()}
            )
        except (OSError, RuntimeError, SafetensorError) as error:  # torch's for other names and shapes
            raise RequestError(
                f"student: the weights of an earlier epoch, {folder / SAFETENSORS}, cannot be used "
                f"({one_line(error)}); remove that folder, and the others are shown",
                field="student",
            ) from None
    return student


def _kept(key: Hashable, make: Callable[[], Any]) -> Any:
    with _guard:
        if key not in _models:
            _models[key] = make()
        return _models[key]
