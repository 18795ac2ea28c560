"""The state of a training at an epoch's end, as safetensors and JSON: all that resuming needs, nothing
pickled.
"""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from kdviz.files import finite, read_json
from kdviz.models.weights_files import SAFETENSORS


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
    save_file(moments, temporary / "optimizer.safetensors")
    with open(temporary / "state.json", "w", encoding="utf-8") as file:
        json.dump(finite(state), file)
    for path in temporary.iterdir():
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
    _sync(root)
    return folder


def drop_older(root: Path, epoch: int) -> None:
    """Remove the checkpoints before `epoch`, and what a crash left half written."""
    for path in [*root.glob("resume_*"), *root.glob(".resume_*.tmp")]:
        if path.name.startswith(".") or int(path.name.split("_")[1]) < epoch:
            shutil.rmtree(path, ignore_errors=True)


def latest(root: Path) -> Path | None:
    """The newest checkpoint under `root`, if any."""
    return max((path for path in root.glob("resume_*") if (path / "state.json").exists()), default=None)


def load_epoch(folder: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict:
    """Put the weights and moments of a checkpoint back, and return its `state`."""
    model.load_state_dict(load_file(folder / SAFETENSORS))
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, value in load_file(folder / "optimizer.safetensors").items():
        name, _, slot = key.partition("|")
        optimizer.state[parameters[name]][slot] = value.to(parameters[name].device)
    return read_json(folder / "state.json")


def _sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
