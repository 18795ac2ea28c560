"""The state of a training at an epoch's end, as safetensors and JSON: all that resuming needs, nothing
pickled.
"""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from kdviz.errors import RunFailed, one_line
from kdviz.files import file_sum, finite, is_regular, read_json
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.records import checked

OPTIMIZER, STATE = "optimizer.safetensors", "state.json"


def save_epoch(
    root: Path, epoch: int, *, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict
) -> Path:
    """Write the checkpoint of `epoch` under `root`: weights, optimiser moments, and `state` (JSON-ready).

    It appears by renaming, so what is there is whole; older ones are removed only by `drop_older`.
    """
    folder, temporary = root / f"resume_{epoch:04d}", root / f".resume_{epoch:04d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()},
        temporary / SAFETENSORS,
        {"format": "pt"},
    )
    moments = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{name}|{key}"] = value.detach().cpu().contiguous()
    save_file(moments, temporary / OPTIMIZER)
    sums = {name: file_sum(temporary / name) for name in (SAFETENSORS, OPTIMIZER)}
    sums[STATE] = _sha256_of(finite(state))
    with open(temporary / STATE, "w", encoding="utf-8") as file:
        json.dump(finite({**state, "sha256": sums}), file)
    for path in temporary.iterdir():
        with suppress(OSError):  # a file system without modes
            shutil.copymode(temporary / STATE, path)  # safetensors lets nobody but the owner read
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
    _sync(root)
    return folder


def drop_older(root: Path, epoch: int) -> None:
    """Remove the checkpoints before `epoch`, and what a crash left half written."""
    older = [path for number, path in _saved(root) if number < epoch]
    for path in [*older, *root.glob(".resume_*.tmp")]:
        shutil.rmtree(path, ignore_errors=True)


def latest(root: Path) -> Path | None:
    """The newest checkpoint under `root`, if any."""
    return max(
        ((number, path) for number, path in _saved(root) if is_regular(path / STATE)), default=(0, None)
    )[1]


def _saved(root: Path) -> list[tuple[int, Path]]:
    """(epoch, folder) of every checkpoint; other names are left alone."""
    found = [(path.name.removeprefix("resume_"), path) for path in root.glob("resume_*")]
    return [(int(number), path) for number, path in found if number.isascii() and number.isdigit()]


class Damaged(RunFailed):
    """The checkpoint in `folder` cannot be used, or is not as it was written."""

    def __init__(self, folder: Path, why: Exception):
        super().__init__(
            f"the checkpoint {folder} is damaged ({one_line(why, 120)}); put a whole copy of it back, or "
            "start a new run"
        )


class Saved(TypedDict):
    """What every checkpoint's state holds: the sums of its files (one of an older version has none)."""

    sha256: NotRequired[dict[str, str]]


def load_epoch(
    folder: Path, kind: type, *, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put the weights and moments of a checkpoint back, and return its `state`, a record of that `kind`.
    Damaged where any of it cannot be used, or is not as it was written: a bit that a disk lost would train
    another student without a word.
    """
    try:
        state = read_state(folder, kind)
        for name in (SAFETENSORS, OPTIMIZER):
            if "sha256" in state and file_sum(folder / name) != state["sha256"].get(name):
                raise ValueError(f"{name} is not as it was written")
        model.load_state_dict(load_file(folder / SAFETENSORS))
        parameters = dict(model.named_parameters())
        optimizer.state.clear()
        for key, value in load_file(folder / OPTIMIZER).items():
            name, _, slot = key.partition("|")
            optimizer.state[parameters[name]][slot] = value.to(parameters[name].device)
    except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
        raise Damaged(folder, error) from error
    return state


def read_state(folder: Path, kind: type) -> dict[str, Any]:
    """The `state` of a checkpoint as a record of that `kind`. OSError or ValueError where it is none, or not
    as it was written.
    """
    value = read_json(folder / STATE)
    state = checked(kind, value)
    if "sha256" in state:
        written = {name: part for name, part in value.items() if name != "sha256"}
        if _sha256_of(written) != state["sha256"].get(STATE):
            raise ValueError(f"{STATE} is not as it was written")
    return state


def _sha256_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
