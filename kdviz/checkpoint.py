"""The state of a training at an epoch's end, as safetensors and JSON: all that resuming needs, nothing pickled."""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from kdviz.files import read_json


def save_state(folder: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Write a checkpoint to `folder` (replaced as a whole): weights, optimiser moments, and `state` (JSON-ready)."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, temporary / "model.safetensors", {"format": "pt"})
    moments = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{name}|{key}"] = value.detach().cpu().contiguous()
    save_file(moments, temporary / "optimizer.safetensors")
    with open(temporary / "state.json", "w", encoding="utf-8") as file:
        json.dump(state, file)
    for path in temporary.iterdir():
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def load_state(folder: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict:
    """Put the weights and moments of a checkpoint back, and return its `state`."""
    model.load_state_dict(load_file(folder / "model.safetensors"))
    moments = load_file(folder / "optimizer.safetensors")
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, value in moments.items():
        name, _, slot = key.partition("|")
        parameter = parameters[name]
        optimizer.state[parameter][slot] = value.to(parameter.device) if slot != "step" or parameter.device.type != "cpu" else value
    return read_json(folder / "state.json")


def is_whole(folder: Path) -> bool:
    """Whether `folder` is a checkpoint; they appear by renaming, so what is there is whole."""
    return (folder / "state.json").exists()


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
