"""What the teacher answers, computed once and kept, or asked live.

A teacher never changes during distillation, so its logits, [CLS] vectors and attention log-probabilities of a
set are computed once, in one fixed order whatever the run, and gathered by position: shuffling stays, and
several runs share the files. Training's are computed in the arithmetic of the training steps, as a live
teacher's would be, evaluation's in float32; each has its own files. Where they would not fit the budget the
teacher is asked live. `TeacherOutputs.reason` says which and why.
"""

import os
import shutil
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kdviz.data.encoded import Batch, EncodedSet
from kdviz.models.trace import classify, trace

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What is wanted of a teacher: logits, [CLS] vectors and maps of some layers (0-based)."""

    logits: bool = True
    cls_layers: frozenset[int] = frozenset()
    map_layers: frozenset[int] = frozenset()

    @property
    def num_layers(self) -> int:
        """Layers to run for [CLS] vectors and maps alone."""
        return max(self.cls_layers | self.map_layers, default=-1) + 1


@dataclass(kw_only=True)
class TeacherBatch:
    """A teacher's outputs for one batch: logits (batch, classes), [CLS] (batch, hidden) and maps (batch,
    heads, seq, seq) by layer.
    """

    logits: Tensor | None = None
    cls: dict[int, Tensor] = field(default_factory=dict)
    log_probs: dict[int, Tensor] = field(default_factory=dict)


class TeacherOutputs:
    """Live teacher: runs it, without gradient, as far as is needed."""

    def __init__(self, teacher: nn.Module, reason: str, run_in: Callable = nullcontext):
        self.teacher, self.reason, self._run_in = teacher, reason, run_in

    is_cached = False
    logits = None
    """Those of the whole set: a live teacher has to be asked."""

    def gather(self, batch: Batch, needs: Needs) -> TeacherBatch:
        """The outputs for `batch`, as far as `needs` says."""
        if not needs.logits and not needs.num_layers:
            return TeacherBatch()
        with torch.no_grad(), self._run_in():
            num_layers = None if needs.logits else needs.num_layers
            traced = trace(self.teacher, *batch.inputs, num_layers=num_layers, record=needs.map_layers)
            logits = classify(self.teacher, traced.last).float() if needs.logits else None
        return TeacherBatch(
            logits=logits,
            cls={layer: traced.cls[layer].float() for layer in needs.cls_layers},
            log_probs=traced.log_probs,
        )


class CachedOutputs:
    """Outputs of a whole set from files, in memory or mapped; opened at once, so that nobody can remove them
    under a run.
    """

    is_cached = True

    def __init__(self, arrays: dict[str, np.ndarray], encoded: EncodedSet, num_heads: int, *, reason: str):
        self._arrays, self.encoded, self.num_heads, self.reason = arrays, encoded, num_heads, reason
        self._map_offsets, self._lengths = _map_offsets(encoded, num_heads), encoded.lengths

    @property
    def logits(self) -> np.ndarray | None:
        """Those of the whole set (n, classes), None where they were not asked for."""
        return self._arrays.get("logits")

    def gather(self, batch: Batch, needs: Needs) -> TeacherBatch:
        """The outputs for `batch`, as far as `needs` says, on the batch's device."""
        device, positions = batch.input_ids.device, batch.positions
        result = TeacherBatch()
        if needs.logits:
            result.logits = torch.from_numpy(np.asarray(self._arrays["logits"][positions])).float().to(device)
        for layer in needs.cls_layers:
            result.cls[layer] = (
                torch.from_numpy(np.asarray(self._arrays[_cls_name(layer)][positions])).float().to(device)
            )
        for layer in needs.map_layers:
            result.log_probs[layer] = self._maps(layer, positions, batch.input_ids.shape[1]).to(device)
        return result

    def _maps(self, layer: int, positions: np.ndarray, width: int) -> Tensor:
        flat = self._arrays[_map_name(layer)]
        padded = torch.full((len(positions), self.num_heads, width, width), -torch.inf)
        rows = padded.numpy()
        for row, position in enumerate(positions):
            begin, length = self._map_offsets[position], self._lengths[position]
            rows[row, :, :length, :length] = flat[begin : begin + self.num_heads * length * length].reshape(
                self.num_heads, length, length
            )
        return padded


def estimate_bytes(
    encoded: EncodedSet,
    *,
    num_heads: int,
    hidden_size: int,
    num_map_layers: int,
    num_cls_layers: int,
    bytes_per_number: int = 4,
) -> int:
    """Bytes that the outputs of a set take."""
    maps = num_map_layers * int(_map_offsets(encoded, num_heads)[-1])
    return bytes_per_number * (maps + len(encoded) * (num_cls_layers * hidden_size + 4))


def teacher_outputs(
    teacher: nn.Module,
    encoded: EncodedSet,
    needs: Needs,
    *,
    folder: Path,
    memory_bytes: int,
    disk_bytes: int,
    mode: str = "auto",
    arithmetic: str = "float32",
    run_in: Callable = nullcontext,
    tick: Callable[[float], None] = lambda share: None,
) -> TeacherOutputs | CachedOutputs:
    """The teacher's outputs on `encoded`: cached where the budget allows, else live.

    `folder` holds the outputs of this teacher; the set's part is named by its fingerprint, so whoever has the
    same teacher and the same set shares it. A file that is damaged, or of another shape than wanted, is
    computed again. The teacher runs in `run_in`, a factory of contexts; `arithmetic` is its name. `tick` is
    called with the share done and may raise.
    """
    if mode == "off":
        return TeacherOutputs(teacher, "live: the cache is switched off", run_in)
    if not needs.logits and not needs.num_layers:
        return TeacherOutputs(teacher, "none: this strategy asks the teacher nothing", run_in)
    config = teacher.config
    shape = dict(
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        num_map_layers=len(needs.map_layers),
        num_cls_layers=len(needs.cls_layers),
    )
    full, half = estimate_bytes(encoded, **shape), estimate_bytes(encoded, **shape, bytes_per_number=2)
    if full <= memory_bytes:
        dtype, in_memory, size = np.float32, True, full
    elif half <= disk_bytes:
        dtype, in_memory, size = (
            (np.float32, False, full) if full <= disk_bytes else (np.float16, False, half)
        )
    else:
        return TeacherOutputs(
            teacher,
            f"live: {half / MEBIBYTE:,.0f} MiB of outputs exceed the disk budget of "
            f"{disk_bytes / MEBIBYTE:,.0f} MiB",
            run_in,
        )
    place = folder / f"{encoded.fingerprint}-{arithmetic}-kept-{np.dtype(dtype).name}"
    names = (
        ["logits"] * needs.logits
        + [_cls_name(layer) for layer in sorted(needs.cls_layers)]
        + [_map_name(layer) for layer in sorted(needs.map_layers)]
    )
    forms = _forms(teacher, encoded, names, dtype)
    try:
        arrays = {name: _stored(place / f"{name}.npy", *forms[name], in_memory=in_memory) for name in names}
        missing = [name for name in names if arrays[name] is None]
        if missing:
            _prune(folder.parent.parent, keep=place, budget_bytes=disk_bytes - size)
            _compute(teacher, encoded, {name: forms[name] for name in missing}, place, run_in, tick)
            arrays |= {
                name: np.load(place / f"{name}.npy", mmap_mode=None if in_memory else "r", allow_pickle=False)
                for name in missing
            }
        os.utime(place)
    except OSError as error:
        return TeacherOutputs(teacher, f"live: the outputs could not be stored ({error.strerror})", run_in)
    where = "in memory" if in_memory else "mapped from disk"
    return CachedOutputs(
        arrays,
        encoded,
        config.num_attention_heads,
        reason=f"cached {where}: {size / MEBIBYTE:,.1f} MiB, {np.dtype(dtype).name}",
    )


def _forms(
    teacher: nn.Module, encoded: EncodedSet, names: list[str], dtype: type
) -> dict[str, tuple[tuple[int, ...], type]]:
    """(shape, dtype) of each named file."""
    config = teacher.config
    # Logits stay in float32: they are small, and the soft-label loss is read to seven digits.
    forms = {
        "logits": ((len(encoded), config.num_labels), np.float32),
        "cls": ((len(encoded), config.hidden_size), dtype),
        "maps": ((int(_map_offsets(encoded, config.num_attention_heads)[-1]),), dtype),
    }
    return {name: forms[name.split("_")[0]] for name in names}


def _stored(path: Path, shape: tuple[int, ...], dtype: type, *, in_memory: bool) -> np.ndarray | None:
    """The array in a file, or None where there is none, or a damaged one, or one of another form."""
    try:
        array = np.load(path, mmap_mode=None if in_memory else "r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return array if isinstance(array, np.ndarray) and array.shape == shape and array.dtype == dtype else None


def _compute(
    teacher: nn.Module,
    encoded: EncodedSet,
    forms: dict[str, tuple[tuple[int, ...], type]],
    place: Path,
    run_in: Callable,
    tick: Callable[[float], None],
) -> None:
    """One pass over the set, from long to short, writing the named files; they appear only when whole."""
    place.mkdir(parents=True, exist_ok=True)
    names, map_offsets = list(forms), _map_offsets(encoded, teacher.config.num_attention_heads)
    temporary = {name: place / f".{name}.{os.getpid()}.{id(names)}.tmp" for name in names}
    arrays = {
        name: np.lib.format.open_memmap(path, mode="w+", dtype=forms[name][1], shape=forms[name][0])
        for name, path in temporary.items()
    }
    layers = [int(name.split("_")[1]) for name in names if "_" in name]
    num_layers = teacher.config.num_hidden_layers if "logits" in names else max(layers) + 1
    device, done = next(teacher.parameters()).device, 0
    try:
        for positions in encoded.evaluation_batches():
            batch = encoded.batch(positions).to(device)
            with torch.no_grad(), run_in():
                # Every layer is recorded, so that all take one path: what is stored does not depend on what
                # was stored before.
                traced = trace(teacher, *batch.inputs, num_layers=num_layers, record=range(num_layers))
                if "logits" in names:
                    arrays["logits"][positions] = classify(teacher, traced.last).float().cpu().numpy()
            for name in names:
                if name.startswith("cls"):
                    arrays[name][positions] = traced.cls[int(name.split("_")[1])].float().cpu().numpy()
                if name.startswith("maps"):
                    _store_maps(
                        arrays[name],
                        traced.log_probs[int(name.split("_")[1])].cpu().numpy(),
                        positions,
                        encoded.lengths,
                        map_offsets,
                    )
            done += len(positions)
            tick(done / len(encoded))
        for name, array in arrays.items():
            array.flush()
            os.replace(temporary[name], place / f"{name}.npy")
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def _store_maps(
    flat: np.ndarray, log_probs: np.ndarray, positions: np.ndarray, lengths: np.ndarray, offsets: np.ndarray
) -> None:
    for row, position in enumerate(positions):
        length = lengths[position]
        flat[offsets[position] : offsets[position + 1]] = log_probs[row, :, :length, :length].reshape(-1)


def _prune(teachers: Path, *, keep: Path, budget_bytes: int) -> None:
    """Remove the outputs unused for longest until what is left fits the budget. A run that has them open
    keeps them.
    """
    places = sorted(
        (path for path in teachers.glob("*/outputs/*") if path.is_dir() and path != keep),
        key=lambda path: path.stat().st_mtime,
    )
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in places}
    total = sum(sizes.values())
    for path in places:
        if total <= max(budget_bytes, 0):
            return
        shutil.rmtree(path, ignore_errors=True)
        total -= sizes[path]


def needs_of(pairs: Collection[tuple[int, int]], *, logits: bool, kl: bool, cos: bool) -> Needs:
    """What a set of matched pairs wants of the teacher."""
    layers = frozenset(teacher_layer for _, teacher_layer in pairs)
    return Needs(
        logits=logits, cls_layers=layers if cos else frozenset(), map_layers=layers if kl else frozenset()
    )


def _map_offsets(encoded: EncodedSet, num_heads: int) -> np.ndarray:
    return np.r_[0, np.cumsum(num_heads * encoded.lengths.astype(np.int64) ** 2)]


def _cls_name(layer: int) -> str:
    return f"cls_{layer:02d}"


def _map_name(layer: int) -> str:
    return f"maps_{layer:02d}"
