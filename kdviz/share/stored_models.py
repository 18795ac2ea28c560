"""The models of stored demo runs: differences from the weights of an installed package, a few bits a
number.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.files import is_regular
from kdviz.models.delta import load_delta
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run

if TYPE_CHECKING:
    import torch

    from kdviz.models.checkpoint import Checkpoint

STUDENT, TEACHER = "student.weights.xz", "teacher.weights.xz"


def student_weights(folder: Path) -> Path:
    """Where the stored run in `folder` keeps its student's weights."""
    return folder / STUDENT


def teacher_weights(folder: Path, config: dict) -> Path:
    """Where the stored run in `folder` keeps its teacher's weights, shared by the runs of that teacher."""
    return RunFiles(folder).teacher(str(config["teacher_fingerprint"])) / TEACHER


def are_stored(run: Run) -> bool:
    """Whether teacher and student of `run` are both kept in this form."""
    return is_regular(student_weights(run.folder)) and is_regular(teacher_weights(run.folder, run.config))


def open_stored(
    path: Path, checkpoint: Checkpoint, num_labels: int, pairs: tuple[tuple[int, int], ...]
) -> torch.nn.Module:
    """The classifier stored in `path`, in eval mode, with one layer for each of `pairs` (own layer, the layer
    of `checkpoint` it started from). RequestError where the file is damaged.
    """
    import torch

    from kdviz.models.build import build_student, load_classifier

    base = load_classifier(checkpoint.folder, num_labels)
    state = load_delta(path, arrays_of(base))
    model = build_student(
        init="pretrained", pairs=pairs, teacher=base, source=base, generator=torch.Generator()
    )
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return model.eval()


def arrays_of(model: torch.nn.Module) -> dict:
    """A model's parameters and buffers by name, float32 numpy arrays."""
    return {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}
