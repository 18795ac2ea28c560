"""The models of a stored demo run: differences from an installed package's weights, a few bits a number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.files import write_json
from kdviz.models.checkpoint import Checkpoint, resolve
from kdviz.models.delta import load_delta, save_delta
from kdviz.runs.reader import Run

if TYPE_CHECKING:
    import torch

STUDENT, TEACHER, DRIFT = "student.weights.xz", "teacher.weights.xz", "drift.json"


def store_weights(run: Run, target: Path) -> dict:
    """Store teacher and student of the finished `run` beside its compact form in `target`.

    Returns what is written to drift.json: sizes in bytes, and for each model the share of evaluation examples
    that it answers otherwise than the trained one, and the largest change of a class's probability.
    """
    from kdviz.models.build import load_classifier

    checkpoint, num_labels = resolve(run.config["teacher"]), len(run.config["labels"])
    origin = _arrays(load_classifier(checkpoint.folder, num_labels))
    same = {layer: layer for layer in range(checkpoint.num_layers)}
    paths = {"teacher": teacher_weights(target, run.config), "student": target / STUDENT}
    teacher_folder = run.folder.parent / "teachers" / run.config["teacher_fingerprint"]
    drift: dict = {}
    for role, folder, layers in (
        ("teacher", teacher_folder, same),
        ("student", run.folder / "student", dict(run.pairs)),
    ):
        exact = load_classifier(folder, num_labels)
        paths[role].parent.mkdir(parents=True, exist_ok=True)
        size = save_delta(paths[role], _arrays(exact), origin, layers)
        stored = open_model(paths[role], checkpoint, num_labels, tuple(layers.items()))
        drift[role] = {"bytes": size, **_drift(run, checkpoint, exact, stored)}
    write_json(target / DRIFT, drift)
    return drift


def teacher_weights(folder: Path, config: dict) -> Path:
    """Where the stored demo run in `folder` keeps its teacher's weights, shared by the runs of that teacher.
    """
    return folder.parent / "teachers" / str(config["teacher_fingerprint"]) / TEACHER


def open_model(
    path: Path, checkpoint: Checkpoint, num_labels: int, pairs: tuple[tuple[int, int], ...]
) -> torch.nn.Module:
    """The classifier stored in `path`, with one layer for each of `pairs` (own layer, the checkpoint's
    layer), in eval mode.
    """
    import torch

    from kdviz.models.build import build_student, load_classifier

    base = load_classifier(checkpoint.folder, num_labels)
    state = load_delta(path, _arrays(base))
    model = build_student(
        init="pretrained", pairs=pairs, teacher=base, source=base, generator=torch.Generator()
    )
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return model.eval()


def _arrays(model: torch.nn.Module) -> dict:
    return {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}


def _drift(run: Run, checkpoint: Checkpoint, exact: torch.nn.Module, stored: torch.nn.Module) -> dict:
    from scipy.special import softmax

    from kdviz.data import load_examples
    from kdviz.data.encoded import Tokenizer
    from kdviz.training.evaluate import predict

    loaded = load_examples(run.task, "folder", run.config["data_dir"], seed=run.config["data_seed"])
    tokenizer = Tokenizer(checkpoint.folder, run.config["max_length"])
    encoded = tokenizer.encode_set(loaded.main_dev)
    before, after = (softmax(predict(model, encoded), axis=1) for model in (exact, stored))
    return {
        "num_examples": len(encoded),
        "other_answers": float((before.argmax(1) != after.argmax(1)).mean()),
        "largest_change": float(abs(before - after).max()),
    }
