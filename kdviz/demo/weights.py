"""The models of a stored demo run: differences from an installed package's weights, a few bits a number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.files import write_json
from kdviz.models.checkpoint import Checkpoint, resolve
from kdviz.models.delta import save_delta
from kdviz.runs.reader import Run
from kdviz.share.stored_models import arrays_of, open_stored, student_weights, teacher_weights

if TYPE_CHECKING:
    import torch

DRIFT = "drift.json"


def store_weights(run: Run, target: Path) -> dict:
    """Store teacher and student of the finished `run` beside its compact form in `target`.

    Returns what is written to drift.json: sizes in bytes, and for each model the share of evaluation examples
    that it answers otherwise than the trained one, and the largest change of a class's probability.
    """
    from kdviz.models.build import load_classifier

    checkpoint, num_labels = resolve(run.config["teacher"]), len(run.config["labels"])
    origin = arrays_of(load_classifier(checkpoint.folder, num_labels))
    same = {layer: layer for layer in range(checkpoint.num_layers)}
    paths = {"teacher": teacher_weights(target, run.config), "student": student_weights(target)}
    drift: dict = {}
    for role, folder, layers in (
        ("teacher", run.teacher_folder, same),
        ("student", run.files.student, dict(run.pairs)),
    ):
        exact = load_classifier(folder, num_labels)
        paths[role].parent.mkdir(parents=True, exist_ok=True)
        size = save_delta(paths[role], arrays_of(exact), origin, layers)
        stored = open_stored(paths[role], checkpoint, num_labels, tuple(layers.items()))
        drift[role] = {"bytes": size, **_drift(run, checkpoint, exact, stored)}
    write_json(target / DRIFT, drift)
    return drift


def _drift(run: Run, checkpoint: Checkpoint, exact: torch.nn.Module, stored: torch.nn.Module) -> dict:
    from scipy.special import softmax

    from kdviz.data import load_examples
    from kdviz.data.encoded import Tokenizer
    from kdviz.metrics import predictions
    from kdviz.training.evaluate import predict

    loaded = load_examples(run.task, "folder", run.config["data_dir"], seed=run.config["data_seed"])
    tokenizer = Tokenizer(checkpoint.folder, run.config["max_length"])
    encoded = tokenizer.encode_set(loaded.main_dev)
    before, after = (softmax(predict(model, encoded), axis=1) for model in (exact, stored))
    return {
        "num_examples": len(encoded),
        "other_answers": float((predictions(before) != predictions(after)).mean()),
        "largest_change": float(abs(before - after).max()),
    }
