"""What the teacher answers, computed once and kept, or asked live.

A teacher never changes during distillation, so its logits, [CLS] vectors and attention log-probabilities of a
set are computed once, in one fixed order whatever the run, and gathered by position: shuffling stays, and
several runs share the files. Training's are computed in the arithmetic of the training steps, as a live
teacher's would be, evaluation's in float32; each has its own files. Where they would not fit the budget the
teacher is asked live. `TeacherOutputs.reason` says which and why.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kdviz.data.encoded import Batch, EncodedSet
from kdviz.method.targets import Answers, Needs
from kdviz.method.terms import READINGS
from kdviz.models.answer import RunIn, answer

MEBIBYTE = 1 << 20


class TeacherOutputs(Protocol):
    """Where a teacher's answers to a set come from. `reason` says which way and why."""

    reason: str
    is_kept: bool

    @property
    def logits(self) -> np.ndarray | None:
        """Those of the whole set (n, classes); None where they are not at hand."""

    def gather(self, batch: Batch, needs: Needs) -> Answers:
        """The answers for `batch`, as far as `needs` says, on the batch's device. Asked again for the same
        batch, by another student, it hands out the same tensors.
        """


class LiveOutputs:
    """A live teacher: runs it, without gradient, as far as is needed."""

    is_kept = False
    logits = None

    def __init__(self, teacher: nn.Module, reason: str, run_in: RunIn = nullcontext):
        self.teacher, self.reason, self._run_in = teacher, reason, run_in

    def gather(self, batch: Batch, needs: Needs) -> Answers:
        """See `TeacherOutputs`."""
        if not needs.logits and not needs.readings:
            return Answers()
        return batch.once((self, needs), lambda: self._ask(batch, needs))

    def _ask(self, batch: Batch, needs: Needs) -> Answers:
        with torch.no_grad():
            found = answer(self.teacher, batch.inputs, needs, run_in=self._run_in)
        return Answers(
            logits=None if found.logits is None else found.logits.float(),
            readings={
                name: {layer: value.float() for layer, value in by_layer.items()}
                for name, by_layer in found.readings.items()
            },
        )


class KeptOutputs:
    """Outputs of a whole set from files, in memory or mapped; opened at once, so that nobody can remove them
    under a run.
    """

    is_kept = True

    def __init__(self, arrays: dict[str, np.ndarray], encoded: EncodedSet, num_heads: int, *, reason: str):
        self._arrays, self.encoded, self.num_heads, self.reason = arrays, encoded, num_heads, reason
        self._map_offsets, self._lengths = _map_offsets(encoded, num_heads), encoded.lengths

    @property
    def logits(self) -> np.ndarray | None:
        """See `TeacherOutputs`."""
        return self._arrays.get("logits")

    def gather(self, batch: Batch, needs: Needs) -> Answers:
        """See `TeacherOutputs`."""
        result = Answers()
        if needs.logits:
            result.logits = batch.once((self, "logits"), lambda: self._rows("logits", batch))
        for name, layer in needs.readings:
            file = _file_name(name, layer)
            make = self._maps if READINGS[name].form == "map" else self._rows
            result.readings.setdefault(name, {})[layer] = batch.once(
                (self, file), lambda make=make, file=file: make(file, batch)
            )
        return result

    def _rows(self, name: str, batch: Batch) -> Tensor:
        rows = np.asarray(self._arrays[name][batch.positions])
        return torch.from_numpy(rows).float().to(batch.input_ids.device)

    def _maps(self, name: str, batch: Batch) -> Tensor:
        flat, (num, width) = self._arrays[name], batch.input_ids.shape
        padded = torch.full((num, self.num_heads, width, width), -torch.inf)
        rows = padded.numpy()
        for row, position in enumerate(batch.positions):
            begin, length = self._map_offsets[position], self._lengths[position]
            rows[row, :, :length, :length] = flat[begin : begin + self.num_heads * length * length].reshape(
                self.num_heads, length, length
            )
        return padded.to(batch.input_ids.device)


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
    run_in: RunIn = nullcontext,
    tick: Callable[[float], None] = lambda share: None,
) -> TeacherOutputs:
    """The teacher's outputs on `encoded`: cached where the budget allows, else live.

    `folder` holds the outputs of this teacher; the set's part is named by its fingerprint, so whoever has the
    same teacher and the same set shares it. A file that is damaged, or of another shape than wanted, is
    computed again. The teacher runs in `run_in`, a factory of contexts; `arithmetic` is its name. `tick` is
    called with the share done and may raise.
    """
    if mode == "off":
        return LiveOutputs(teacher, "live: the cache is switched off", run_in)
    if not needs.logits and not needs.readings:
        return LiveOutputs(teacher, "none: this strategy asks the teacher nothing", run_in)
    config = teacher.config
    shape = dict(
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        num_map_layers=sum(READINGS[name].form == "map" for name, _ in needs.readings),
        num_cls_layers=sum(READINGS[name].form == "vector" for name, _ in needs.readings),
    )
    full, half = estimate_bytes(encoded, **shape), estimate_bytes(encoded, **shape, bytes_per_number=2)
    if full <= memory_bytes:
        dtype, in_memory, size = np.float32, True, full
    elif half <= disk_bytes:
        dtype, in_memory, size = (
            (np.float32, False, full) if full <= disk_bytes else (np.float16, False, half)
        )
    else:
        return LiveOutputs(
            teacher,
            f"live: {half / MEBIBYTE:,.0f} MiB of outputs exceed the disk budget of "
            f"{disk_bytes / MEBIBYTE:,.0f} MiB",
            run_in,
        )
    place = folder / f"{encoded.fingerprint}-{arithmetic}-kept-{np.dtype(dtype).name}"
    forms = _forms(teacher, encoded, needs, dtype)
    names = list(forms)
    try:
        arrays = {name: _stored(place / f"{name}.npy", *forms[name], in_memory=in_memory) for name in names}
        missing = [name for name in names if arrays[name] is None]
        if missing:
            _prune(folder.parent.parent, keep=place, budget_bytes=disk_bytes - size)
            _compute(teacher, encoded, _missing(needs, missing), forms, place, run_in, tick)
            arrays |= {
                name: np.load(place / f"{name}.npy", mmap_mode=None if in_memory else "r", allow_pickle=False)
                for name in missing
            }
        os.utime(place)
    except OSError as error:
        return LiveOutputs(teacher, f"live: the outputs could not be stored ({error.strerror})", run_in)
    where = "in memory" if in_memory else "mapped from disk"
    return KeptOutputs(
        arrays,
        encoded,
        config.num_attention_heads,
        reason=f"cached {where}: {size / MEBIBYTE:,.1f} MiB, {np.dtype(dtype).name}",
    )


Form = tuple[tuple[int, ...], type]
"""(shape, dtype) of a file's array."""


def _forms(teacher: nn.Module, encoded: EncodedSet, needs: Needs, dtype: type) -> dict[str, Form]:
    """Every file that is needed, with its form."""
    config = teacher.config
    shapes = {
        "vector": (len(encoded), config.hidden_size),
        "map": (int(_map_offsets(encoded, config.num_attention_heads)[-1]),),
    }
    # Logits stay in float32: they are small, and the soft-label loss is read to seven digits.
    logits = {"logits": ((len(encoded), config.num_labels), np.float32)} if needs.logits else {}
    return logits | {
        _file_name(name, layer): (shapes[READINGS[name].form], dtype)
        for name, layer in sorted(needs.readings)
    }


def _missing(needs: Needs, names: list[str]) -> Needs:
    """The part of `needs` whose files are among `names`."""
    return Needs(
        logits="logits" in names,
        readings=frozenset(pair for pair in needs.readings if _file_name(*pair) in names),
    )


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
    needs: Needs,
    forms: dict[str, Form],
    place: Path,
    run_in: RunIn,
    tick: Callable[[float], None],
) -> None:
    """One pass over the set, from long to short, writing what is needed; the files appear only when whole."""
    place.mkdir(parents=True, exist_ok=True)
    names, map_offsets = _names_of(needs), _map_offsets(encoded, teacher.config.num_attention_heads)
    temporary = {name: place / f".{name}.{os.getpid()}.{id(names)}.tmp" for name in names}
    arrays = {
        name: np.lib.format.open_memmap(path, mode="w+", dtype=forms[name][1], shape=forms[name][0])
        for name, path in temporary.items()
    }
    device, done = next(teacher.parameters()).device, 0
    try:
        for positions in encoded.evaluation_batches():
            with torch.no_grad():
                # What is stored does not depend on what was stored before.
                batch = encoded.batch(positions).to(device)
                found = answer(teacher, batch.inputs, needs, record_all=True, run_in=run_in)
            if found.logits is not None:
                arrays["logits"][positions] = found.logits.float().cpu().numpy()
            for name, layer in needs.readings:
                values, file = found.readings[name][layer].float().cpu().numpy(), _file_name(name, layer)
                if READINGS[name].form == "map":
                    _store_maps(arrays[file], values, positions, encoded.lengths, map_offsets)
                else:
                    arrays[file][positions] = values
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


def _map_offsets(encoded: EncodedSet, num_heads: int) -> np.ndarray:
    return np.r_[0, np.cumsum(num_heads * encoded.lengths.astype(np.int64) ** 2)]


def _file_name(reading: str, layer: int) -> str:
    return f"{reading}_{layer:02d}"


def _names_of(needs: Needs) -> list[str]:
    return ["logits"] * needs.logits + [_file_name(*pair) for pair in sorted(needs.readings)]
