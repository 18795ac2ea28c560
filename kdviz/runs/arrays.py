"""Arrays of a run folder: attention maps and per-example results, plain or compressed, checked for their
shape.
"""

import os
import threading
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from kdviz.files import MEBIBYTE, is_regular, stamp_of
from kdviz.runs.bounded import ENDINGS, compressed_form, inflate_safetensors

LARGEST_ARRAYS_BYTES = 256 * MEBIBYTE
ROOT_STEPS = 127
"""The stored demo keeps square roots of probabilities in so many steps, a byte each: small ones keep their
digits, and so does the KL. What is below half a step of 0, 1.6e-5, is 0.
"""
_unpacked: LRUCache = LRUCache(maxsize=LARGEST_ARRAYS_BYTES, getsizeof=len)
_lock = threading.Lock()


class Damaged(KeyError):
    """A part of a run that is there and cannot be used, with the reason."""

    def __str__(self) -> str:
        return str(self.args[0])


def exists(path: Path) -> bool:
    """Whether the file is there, plain or compressed."""
    return is_regular(path) or compressed_form(path) is not None


def stored_in(folder: Path) -> set[str]:
    """The names of the files in a folder, compressed ones by the name that they had before; none where it
    cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
    except OSError:
        return set()
    return {name for plain in names for name in (plain, *(plain.removesuffix(end) for end in ENDINGS))}


def read_maps(path: Path, probe_id: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Attention probabilities (layers, heads, query, key), float32; `shape` is (layers, heads, tokens).

    KeyError where the file or the probe is not there, Damaged where it is and cannot be used.
    """
    maps = read_arrays(path, probe_id)[probe_id]
    wanted = (*shape, shape[-1])
    if maps.shape != wanted or maps.dtype.kind not in "fu":
        raise Damaged(f"{path.name}: maps of shape {wanted} were expected, got {maps.dtype} {maps.shape}")
    if maps.dtype != np.uint8:
        return maps.astype(np.float32)
    maps = np.square(maps.astype(np.float32))
    return maps / np.maximum(maps.sum(axis=-1, keepdims=True), 1.0)


def read_arrays(path: Path, only: str | None = None) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file or of its compressed form; of one name where `only` says so.

    KeyError where file or array are not there, Damaged where they are and cannot be used.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load

    stored = path if is_regular(path) else compressed_form(path)
    if stored is None:
        raise KeyError(f"{path.name} is not there")
    try:
        if stored == path:
            with safe_open(path, framework="numpy") as file:
                names = [only] if only else list(file.keys())
                _refuse_large({name: file.get_slice(name).get_shape() for name in names})
                return {name: file.get_tensor(name) for name in names}
        arrays = load(_unpack(stored))
        return {only: arrays[only]} if only else arrays
    except KeyError:
        raise KeyError(f"{path.name} has no {only}") from None
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        if only and "does not contain tensor" in str(error):
            raise KeyError(f"{path.name} has no {only}") from None
        raise Damaged(f"{stored.name}: {error}") from None


def _refuse_large(shapes: dict[str, list[int]]) -> None:
    if sum(4 * int(np.prod(shape, dtype=np.float64)) for shape in shapes.values()) > LARGEST_ARRAYS_BYTES:
        raise ValueError(f"at most {LARGEST_ARRAYS_BYTES // MEBIBYTE} MiB of arrays were expected, got more")


def _unpack(path: Path) -> bytes:
    """The content of a compressed file, remembered: a page asks for one preset after the other, and each
    needs the whole file.
    """
    key = (path, stamp_of(path))
    with _lock:
        if (known := _unpacked.get(key)) is not None:
            return known
    content = inflate_safetensors(path, LARGEST_ARRAYS_BYTES)
    with _lock:
        if len(content) < LARGEST_ARRAYS_BYTES:
            _unpacked[key] = content
    return content
