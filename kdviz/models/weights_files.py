"""Weights as people have them: safetensors or pytorch_model.bin, whole or in shards, looked at and read.

A folder is asked in this order: model.safetensors, model.safetensors.index.json, pytorch_model.bin,
pytorch_model.bin.index.json. A .bin is a pickle: it is read with torch's `weights_only=True` and in no other
way, so a file that needs more than tensors is refused and none of its code runs. Names lose what wrappers put
into them (DistributedDataParallel, FSDP, torch.compile, checkpointing of activations), and `gamma`, `beta` of
old LayerNorms become `weight`, `bias`.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.errors import RequestError, one_line
from kdviz.files import Stamp, stamp_of, sum_as_of
from kdviz.models.refusals import (
    SAVE,
    Damaged,
    Incomplete,
    Unusable,
    check_file,
    read_json_object,
    what_is_there_instead,
)

if TYPE_CHECKING:
    import numpy as np
    import torch

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}
MOST_SHARDS = 1000
_INDEX = ".index.json"
_WEIGHTS_ENDS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot", ".onnx", ".gguf")
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of a checkpoint, looked at: by clean name what each tensor is and where.

    `files` with their stamps when they were looked at; `dtypes` as safetensors calls them;
    `sources`: clean name to (file, name in it).
    """

    files: Mapping[Path, Stamp]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    sources: Mapping[str, tuple[Path, str]]

    @property
    def sha256(self) -> str:
        """That of the one file, or of the list of the shards' sums. Reads every byte, once while the files
        stay.
        """
        sums = [sum_as_of(path, stamp) for path, stamp in self.files.items()]
        return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()

    @property
    def not_finite(self) -> frozenset[str]:
        """Tensors that hold a NaN or an infinity. Reads every byte, once while the files stay."""
        bad = {path: _not_finite(path, stamp) for path, stamp in self.files.items()}
        return frozenset(clean for clean, (path, name) in self.sources.items() if name in bad[path])


def find_weights(folder: Path) -> Weights:
    """The weights in `folder` with their names and shapes. Unusable where there are none, or damaged ones."""
    files, wanted = _files_of(folder)
    stamps = {path: _stamp(path) for path in files}
    tensors = {path: _tensors(path, stamp) for path, stamp in stamps.items()}
    found: dict[str, tuple[Path, str]] = {}
    for path in files:
        for name in tensors[path]:
            if wanted is None or wanted.get(name) == path:
                clean = clean_name(name)
                if clean in found:
                    raise Unusable(
                        f"the weights in {folder} hold {clean} twice, as {found[clean][1]!r} and {name!r}; "
                        "choose another checkpoint"
                    )
                found[clean] = (path, tensors[path][name].kept or name)
    for name, path in (wanted or {}).items():
        if name not in tensors[path]:
            raise Damaged(
                f"the index of the weights in {folder} says that {name[:100]} is in {path.name}, which does "
                "not have it; get the checkpoint again"
            )
    return Weights(
        files=stamps,
        shapes={clean: tensors[path][name].shape for clean, (path, name) in found.items()},
        dtypes={clean: tensors[path][name].dtype for clean, (path, name) in found.items()},
        sources=found,
    )


def has_weights(folder: Path) -> bool:
    """Whether every file with weights is there, of those in shards all that the index names. What cannot be
    read counts: reading says why.
    """
    named = (folder / f"{name}{end}" for name in (SAFETENSORS, PICKLED) for end in ("", _INDEX))
    if not any(path.exists() for path in named):
        return False
    try:
        files, _ = _files_of(folder)
    except Incomplete:
        return False
    except Unusable:
        return True
    return all(path.exists() for path in files)


def check_named_file(name: str | None, weights: Weights) -> None:
    """Unusable where somebody named a file of weights that is not among those that are read."""
    if name is None or not name.removesuffix(_INDEX).endswith(_WEIGHTS_ENDS):
        return
    read = [path.name for path in weights.files]
    if name.endswith(_INDEX) and len(read) > 1:
        read.append(f"{SAFETENSORS if _is_safetensors(next(iter(weights.files))) else PICKLED}{_INDEX}")
    if name not in read:
        raise Unusable(
            f"the weights are read from {read[0]}, not from the file that was named, {name[:100]}; put that "
            f"one, as {SAFETENSORS if name.endswith('.safetensors') else PICKLED}, with config.json and the "
            "tokenizer into a folder of its own"
        )


def read_weights(weights: Weights, names: Collection[str]) -> dict[str, torch.Tensor]:
    """The tensors called `names` (clean), in float32 on the CPU. RequestError where a file changed since."""
    import torch
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, torch.Tensor] = {}
    by_file: dict[Path, list[tuple[str, str]]] = {}
    for clean in names:
        path, name = weights.sources[clean]
        by_file.setdefault(path, []).append((clean, name))
    try:
        for path, pairs in by_file.items():
            if _is_safetensors(path):
                with safe_open(path, framework="pt") as file:
                    tensors |= {
                        clean: file.get_tensor(name).to(torch.float32, copy=True) for clean, name in pairs
                    }
            else:
                state = _unpickled(path)
                tensors |= {clean: state[name].to(torch.float32, copy=True) for clean, name in pairs}
    except (OSError, SafetensorError, KeyError, Unusable) as error:
        raise RequestError(
            f"the weights {path} cannot be read any more ({one_line(error)}); get the checkpoint again"
        ) from error
    return tensors


def clean_name(name: str) -> str:
    """A tensor's name without what wrappers put into it, in today's spelling."""
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while parts[0] == "module" and len(parts) > 1:
        parts = parts[1:]
    name = ".".join(parts)
    for old, new in OLD_NAMES.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _files_of(folder: Path) -> tuple[tuple[Path, ...], dict[str, Path] | None]:
    """The files with the weights, and for shards which tensor the index says is in which."""
    for name in (SAFETENSORS, PICKLED):
        if (folder / name).exists() or (folder / name).is_symlink():
            return (folder / name,), None
        index = folder / f"{name}{_INDEX}"
        if index.exists() or index.is_symlink():
            return _shards(folder, index)
    raise Unusable(what_is_there_instead(folder))


def _shards(folder: Path, index: Path) -> tuple[tuple[Path, ...], dict[str, Path]]:
    listed = read_json_object(index).get("weight_map")
    if (
        not isinstance(listed, dict)
        or not listed
        or not all(isinstance(file, str) and file == os.path.basename(file) for file in listed.values())
        or any(file in ("", ".", "..") or "\\" in file or "\0" in file for file in listed.values())
    ):
        raise Damaged(
            f"expected a weight_map from tensors to files of the same folder in {index}; get the checkpoint "
            "again"
        )
    names = sorted(set(listed.values()))
    if len(names) > MOST_SHARDS:
        raise Unusable(f"{index} lists {len(names)} files; choose another checkpoint")
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise Incomplete(
            f"the weights in {folder} come in {len(names)} files, {missing[0][:100]!r} "
            f"{'is' if len(missing) == 1 else f'and {len(missing) - 1} more are'} missing; get the "
            "checkpoint again"
        )
    return tuple(folder / name for name in names), {name: folder / file for name, file in listed.items()}


@dataclass(frozen=True)
class _Tensor:
    """`kept`: the name under which the file has it, where that is another one."""

    shape: tuple[int, ...]
    dtype: str
    kept: str | None = None


def _stamp(path: Path) -> Stamp:
    check_file(path)
    return stamp_of(path)


def _is_safetensors(path: Path) -> bool:
    return path.name.endswith(".safetensors")


@lru_cache(maxsize=256)
def _tensors(path: Path, stamp: Stamp) -> Mapping[str, _Tensor]:
    """What a weights file holds, by the names in it. safetensors' header is read without torch: importing it
    takes seconds, and a page that only looks cannot wait.
    """
    _check_kind(path)
    if not _is_safetensors(path):
        return {
            name: _Tensor(tuple(tensor.shape), _dtype_name(tensor))
            for name, tensor in _unpickled(path).items()
        }
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:  # checks header, offsets and length
            parts = {name: file.get_slice(name) for name in list(file.keys())}
            found = {name: _Tensor(tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()}
            # safetensors' save_model writes what two names share under one, and tells the other here.
            shared = {name: kept for name, kept in (file.metadata() or {}).items() if kept in found}
            return found | {
                name: replace(found[kept], kept=kept) for name, kept in shared.items() if name not in found
            }
    except (OSError, SafetensorError) as error:
        raise Damaged(f"the weights file {path} is damaged ({one_line(error)}); get it again") from None


def _check_kind(path: Path) -> None:
    """Unusable where a file's content is of the other kind than its name says."""
    with open(path, "rb") as file:
        begin = file.read(9)
    is_safetensors = begin[8:] == b"{" and int.from_bytes(begin[:8], "little") < path.stat().st_size
    if is_safetensors and not _is_safetensors(path):
        raise Unusable(f"{path} holds safetensors under the name of a pickle; call it {SAFETENSORS}")
    if begin.startswith((b"PK\x03\x04", b"\x80\x02")) and _is_safetensors(path) and not is_safetensors:
        raise Unusable(f"{path} holds a pickle under the name of safetensors; call it {PICKLED}")


@lru_cache(maxsize=256)
def _not_finite(path: Path, stamp: Stamp) -> frozenset[str]:
    """Names of the tensors in a file that hold a NaN or an infinity."""
    import numpy as np

    if not _is_safetensors(path):
        import torch

        return frozenset(
            name
            for name, tensor in _unpickled(path).items()
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
        )
    content = np.memmap(path, dtype=np.uint8, mode="r")
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:start].tobytes())
    header.pop("__metadata__", None)
    return frozenset(
        name
        for name, about in header.items()
        if not _all_finite(content[start:][slice(*about["data_offsets"])], about["dtype"])
    )


def _all_finite(raw: np.ndarray, dtype: str) -> bool:
    """Whether the numbers in `raw` bytes are all finite; a few million at a time."""
    import numpy as np

    # An exponent of ones only is a NaN or an infinity, in every one of these formats.
    masks = {"BF16": (2, 0x7F80), "F16": (2, 0x7C00), "F32": (4, 0x7F800000), "F64": (8, 0x7FF << 52)}
    if dtype not in masks:
        return True
    size, mask = masks[dtype]
    kind = np.dtype(f"<u{size}").type
    for begin in range(0, len(raw), 1 << 24):
        part = np.frombuffer(raw[begin : begin + (1 << 24)].tobytes(), dtype=f"<u{size}")
        if ((part & kind(mask)) == kind(mask)).any():
            return False
    return True


def _dtype_name(tensor: torch.Tensor) -> str:
    import torch

    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    return names.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    """The tensors by name in a .bin file, without running anything it asks for. Unusable with the reason."""
    import pickle

    import torch

    try:
        with open(path, "rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        if is_zip:
            _check_zip(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is refused, or does not matter
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        asked = _asked_for(str(error))
        asks = f"asks for {asked}" if asked else "is none such, or damaged"
        raise Unusable(
            f"pickled weights are not read where they are more than tensors, and {path} {asks}; none of its "
            "code was run: save the model as safetensors"
        ) from None
    except Unusable:
        raise
    except Exception as error:  # torch raises errors of every kind for damaged files
        raise Damaged(f"the weights file {path} is damaged ({one_line(error)}); get it again") from None
    return _checked_state(state, path)


def _asked_for(message: str) -> str:
    """The forbidden name in torch's message: 'Trying to load unsupported GLOBAL posix.system whose…'."""
    for mark in ("GLOBAL ", "global "):
        if mark in message:
            return message.split(mark, 1)[1].split()[0][:80]
    return ""


def _check_zip(path: Path) -> None:
    """torch stores its records as they are; a compressed one could be a thousand times its size."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any("/code/" in entry.filename for entry in entries):
        raise Unusable(f"{path} is a TorchScript module; {SAVE}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
        sum(entry.file_size for entry in entries) > path.stat().st_size
    ):
        raise Damaged(f"the weights file {path} is not as torch writes it (compressed); get it again")


def _checked_state(state: object, path: Path) -> dict[str, torch.Tensor]:
    import torch

    if isinstance(state, dict) and state and all(isinstance(value, torch.Tensor) for value in state.values()):
        sparse = next((name for name, value in state.items() if value.layout != torch.strided), None)
        if sparse is not None:
            raise Unusable(
                f"{str(sparse)[:100]} in {path} is a sparse tensor; save the model with dense ones"
            )
        return {str(name): tensor for name, tensor in state.items()}
    inner = (
        next(
            (
                key
                for key, value in state.items()
                if isinstance(value, dict) and any(isinstance(part, torch.Tensor) for part in value.values())
            ),
            None,
        )
        if isinstance(state, dict)
        else None
    )
    hint = (
        f"it holds a training state, its weights under {str(inner)[:40]!r}: save those alone"
        if inner
        else (f"it holds {type(state).__name__}")
    )
    raise Unusable(f"expected tensors by name in {path}, but {hint}")
