"""Files and folders that are not what they should be, told apart by what they are."""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

MOST_JSON_BYTES = 32 << 20
_LFS = b"version https://git-lfs"


class Unusable(ValueError):
    """Why a file or folder cannot be used, in one line without a setting's name in front."""


class Damaged(Unusable):
    """A file is not as it was published: the same model, got again, can be used."""


class Incomplete(Damaged):
    """Some of a model's files are not there."""


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Unusable, with the cause, where it is none."""
    check_file(path)
    if path.stat().st_size > MOST_JSON_BYTES:
        raise Damaged(f"{path} is larger than any {path.name} should be; get the checkpoint again")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(
            f"expected a readable {path.name}, got {type(error).__name__} in {path}; get the checkpoint again"
        ) from None
    if not isinstance(value, dict):
        raise Damaged(f"expected an object in {path}, got {type(value).__name__}; get the checkpoint again")
    return value


def check_file(path: Path) -> None:
    """Unusable where `path` is not the file it should be: a git-lfs pointer, a web page, a pipe, a text
    saved by an editor of Windows, nothing.
    """
    try:
        kind = os.stat(path)
        if not stat.S_ISREG(kind.st_mode):
            raise Unusable(f"{path} is not a file; choose a complete checkpoint")
        with open(path, "rb") as file:
            begin = file.read(512)
    except PermissionError:
        raise Unusable(not_allowed(path)) from None
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror}); choose a complete checkpoint") from None
    if begin.startswith(_LFS):
        raise Damaged(f"{path} is a git-lfs pointer, not the file itself: run 'git lfs pull' in its folder")
    if begin.startswith(codecs.BOM_UTF8):
        raise Unusable(
            f"{path} begins with a byte-order mark, which transformers does not read; save it as UTF-8 "
            "without one"
        )
    if begin.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise Damaged(f"{path} is a web page that was saved under this name; download the file itself")


def not_allowed(path: Path | str) -> str:
    """Why a file or folder of another user cannot be used."""
    return (
        f"{path} may not be read (Permission denied); ask its owner for leave, or choose another checkpoint"
    )


def what_is_there_instead(folder: Path) -> str:
    """Why there are no weights to read, by what lies there."""
    names = _names_in(folder)
    expected = f"expected model.safetensors or pytorch_model.bin in {folder}, found none"
    below = [
        f"{name}/{inner}" for name in names if os.path.isdir(folder / name) for inner in _below(folder / name)
    ]
    instead = _instead(names, (*_OTHERS, *_MISNAMED)) or _instead(below, _OTHERS)
    return f"{expected}{instead}" if instead else f"{expected}; choose a folder with an encoder's weights"


def _instead(names: list[str], kinds: tuple[tuple[tuple[str, ...], str], ...]) -> str:
    """` but FILE: what it is` of the first of the `kinds` that is among the names; else ""."""
    for ends, what in kinds:
        found = next((name for name in names if name.endswith(ends) and name not in _BESIDE_WEIGHTS), None)
        if found:
            return f" but {found[:100]}: {what}"
    return ""


def _below(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))[:1000]
    except OSError:
        return []


def what_folder_is_this(folder: Path) -> str:
    """Why a folder without config.json is no checkpoint, and which one below it is."""
    names = _names_in(folder)
    begin = f"expected a readable config.json in {folder}, found none"
    if adapter := _instead(names, _OTHERS[:1]):
        return f"{begin}{adapter}"
    if "snapshots" in names:
        inside = [folder / "snapshots" / name for name in _names_in(folder / "snapshots")]
        better = next((path for path in inside if os.path.exists(path / "config.json")), folder / "snapshots")
        return f"{begin}: this is the top folder of a hub cache; choose {better}"
    below = _checkpoints_below(folder)
    steps = [name for name in below if re.fullmatch(r"checkpoint-\d+", name)]
    if steps:
        last = max(steps, key=lambda name: int(name.split("-")[1]))
        return f"{begin}: this is a Trainer's output folder; choose {folder / last}"
    if below:
        return f"{begin}; did you mean {folder / below[0]}?"
    if not names:
        return f"{begin}: the folder is empty"
    if instead := _instead(names, (*_OTHERS, (_ENDS_OF_WEIGHTS, _WITHOUT_CONFIG))):
        return f"{begin}{instead}"
    return f"{begin}; choose a folder with an encoder's checkpoint"


def what_config_is_this(folder: Path) -> str:
    """Why a config.json without a model_type is no checkpoint's, where one lies below it; else ""."""
    below = _checkpoints_below(folder)
    return f"config.json in {folder} is not a model's; did you mean {folder / below[0]}?" if below else ""


def _checkpoints_below(folder: Path) -> list[str]:
    return [name for name in _names_in(folder) if os.path.exists(folder / name / "config.json")]


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise Unusable(f"{folder} cannot be read ({error.strerror}); choose another folder") from None


_ADAPTER = "an adapter (LoRA), which is no model by itself; merge it into its base model and save that"
_BESIDE_WEIGHTS = {"training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "rng_state.pth"}
SAVE = "save them with transformers' save_pretrained"
_OTHERS = (
    (("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"), _ADAPTER),
    ((".incomplete", ".part", ".crdownload"), "an unfinished download; get it again"),
    (
        tuple(f"-of-{number:05d}{end}" for number in range(1, 100) for end in (".safetensors", ".bin")),
        "shards without their index (model.safetensors.index.json); get the checkpoint again",
    ),
    ((".h5", ".ckpt.index", ".ckpt"), f"TensorFlow's or Lightning's weights; {SAVE}"),
    ((".msgpack",), f"Flax's weights; {SAVE}"),
    (
        (".onnx", ".gguf", ".tflite", "openvino_model.bin", "openvino_model.xml"),
        "an exported model; choose the checkpoint it was made from",
    ),
    ((".ot",), f"Rust's weights; {SAVE}"),
    (
        ("zero_to_fp32.py", ".distcp", "_model_states.pt"),
        "the state of a distributed training; make one model of it first",
    ),
)
"""(ends of names, what such a file is)."""
_MISNAMED = (
    ((".safetensors",), "weights under another name; call them model.safetensors"),
    ((".bin", ".pt", ".pth"), "weights under another name; call them pytorch_model.bin"),
)
_ENDS_OF_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_WITHOUT_CONFIG = "weights alone, which do not say what model they are of; add its config.json"
