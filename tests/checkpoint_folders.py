"""Folders of checkpoints in a test: changed, cut in shards, pickled, and checked."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from kdviz.config import RunConfig
from kdviz.models.check import check_models


def change_json(path: Path, **changes: object) -> None:
    """Replace keys; those that become ... are removed."""
    value = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: item for key, item in value.items() if item is not ...}))


def change_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    tensors = {name: tensor.contiguous().clone() for name, tensor in change(load_file(path)).items()}
    save_file(tensors, path, {"format": "pt"})


def shards(folder: Path, suffix: str, write, num: int = 3) -> dict[str, str]:
    """Cut model.safetensors in shards with an index; the index' weight_map."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    weight_map = {}
    for number in range(num):
        name = f"{stem}-{number + 1:05d}-of-{num:05d}.{suffix}"
        part = {key: value for place, (key, value) in enumerate(tensors.items()) if place % num == number}
        write(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return weight_map


def as_bin(folder: Path, **options: object) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin", **options)
    (folder / "model.safetensors").unlink()


def check(folder: Path, **settings: object):
    return check_models(RunConfig(teacher=str(folder), max_length=32, **settings))
