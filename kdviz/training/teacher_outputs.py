"""What the teacher answers, computed once and kept, or asked live.

A teacher never changes during distillation, so its logits, [CLS] vectors and attention log-probabilities of a
set are computed once, in one fixed order whatever the run, and gathered by position: shuffling stays, and
several runs share the files. Training's are computed in the arithmetic of the training steps, as a live
teacher's would be, evaluation's in float32; each has its own files. What fits the memory's budget is held
there, and stored for the next run as far as the disk's budget has room; else it is mapped from files; where
neither has room the teacher is asked live. `TeacherOutputs.reason` says which and why.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kdviz.data.encoded import Batch, EncodedSet
from kdviz.files import MEBIBYTE, kept_sum, take_place
from kdviz.method.targets import Answers, Needs
from kdviz.method.terms import READINGS
from kdviz.models.answer import RunIn, answer
from kdviz.models.families import as_classifier
from kdviz.training.outputs_disk import filling, make_room, now_in_use

SEAL_BYTES = 64
"""Of a sha256 in hexadecimal."""
Form = tuple[tuple[int, ...], type]
"""(shape, dtype) of a file's array."""


class TeacherOutputs(Protocol):
    """Where a teacher's answers to a set come from. `reason` says which way and why, `memory_bytes` what they
    take of the memory's budget.
    """

    reason: str
    is_kept: bool
    memory_bytes: int

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
    memory_bytes = 0

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

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        encoded: EncodedSet,
        num_heads: int,
        *,
        reason: str,
        memory_bytes: int,
    ):
        self._arrays, self.encoded, self.num_heads, self.reason = arrays, encoded, num_heads, reason
        self.memory_bytes = memory_bytes
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
            result.readings.setdefault(name, {})[layer] = batch.once((self, file), partial(make, file, batch))
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
    encoded: EncodedSet, needs: Needs, *, num_heads: int, hidden_size: int, bytes_per_number: int = 4
) -> int:
    """Bytes that the outputs of a set take."""
    num_cells = int(_map_offsets(encoded, num_heads)[-1])
    return bytes_per_number * needs.num_values(len(encoded), num_cells=num_cells, width=hidden_size)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Where a teacher's outputs may be kept, and how much they may take: of the memory, and of the disk, of
    which `leave_bytes` stay free. `mode` "off": nothing is kept.

    `folder` holds the outputs of one teacher; a set's part is named by its fingerprint, so whoever has the
    same teacher and the same set shares it.
    """

    folder: Path
    memory_bytes: int
    disk_bytes: int
    leave_bytes: int = 0
    mode: str = "auto"


def teacher_outputs(
    teacher: nn.Module,
    encoded: EncodedSet,
    needs: Needs,
    budget: Budget,
    *,
    arithmetic: str = "float32",
    run_in: RunIn = nullcontext,
    tick: Callable[[float], None] = lambda share: None,
) -> TeacherOutputs:
    """The teacher's outputs on `encoded`: cached where the budget allows, else live.

    A file that is damaged, or of another shape than wanted, is computed again. The teacher runs in `run_in`,
    a factory of contexts; `arithmetic` is its name. `tick` is called with the share done and may raise.
    """
    if budget.mode == "off":
        return LiveOutputs(teacher, "live: the cache is switched off", run_in)
    if not needs.logits and not needs.readings:
        return LiveOutputs(teacher, "none: this strategy asks the teacher nothing", run_in)
    config = as_classifier(teacher).config
    shape = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
    full, half = (estimate_bytes(encoded, needs, **shape, bytes_per_number=size) for size in (4, 2))
    asked = _Asked(teacher, encoded, needs, budget, arithmetic, run_in, tick)
    if full <= budget.memory_bytes:
        return asked.in_memory()
    for dtype, size in ((np.float32, full), (np.float16, half)):
        if size <= budget.disk_bytes and (kept := asked.mapped(dtype)):
            return kept
    return LiveOutputs(
        teacher,
        f"live: {half / MEBIBYTE:,.0f} MiB of outputs exceed the disk budget of "
        f"{budget.disk_bytes / MEBIBYTE:,.0f} MiB, or what runs that go on, and the disk, leave of it",
        run_in,
    )


@dataclass(frozen=True)
class _Asked:
    """Outputs that are wanted, and how they are had: from files, else computed."""

    teacher: nn.Module
    encoded: EncodedSet
    needs: Needs
    budget: Budget
    arithmetic: str
    run_in: RunIn
    tick: Callable[[float], None]

    def in_memory(self) -> TeacherOutputs:
        """In memory; stored as well, for the next run, where the disk's budget has room."""
        forms, place = self._forms(np.float32), self._place(np.float32)
        arrays, why = self._stored(place, forms, in_memory=True), ""
        missing = [name for name in forms if name not in arrays]
        if missing and _bytes_of(forms, missing) <= self.budget.disk_bytes:
            try:
                self._fill(place, forms, in_memory=True)
                arrays = self._stored(place, forms, in_memory=True)
                missing = [name for name in forms if name not in arrays]
                why = ", not stored (no room on the disk)" if missing else ""
            except OSError as error:
                why = f", not stored ({error.strerror})"
        if missing:
            fresh: dict[str, np.ndarray] = {name: np.empty(*forms[name]) for name in missing}
            self._compute(fresh)
            arrays |= fresh
        return self._kept(arrays, place, f"in memory{why}", np.float32)

    def mapped(self, dtype: type) -> TeacherOutputs | None:
        """Mapped from files; None where the disk's budget has no room, because others use it."""
        forms, place = self._forms(dtype), self._place(dtype)
        try:
            arrays = self._stored(place, forms, in_memory=False)
            if len(arrays) < len(forms):
                self._fill(place, forms, in_memory=False)
                arrays = self._stored(place, forms, in_memory=False)
        except OSError as error:
            reason = f"live: the outputs could not be stored ({error.strerror})"
            return LiveOutputs(self.teacher, reason, self.run_in)
        if len(arrays) < len(forms):
            return None
        return self._kept(arrays, place, "mapped from disk", dtype)

    def _place(self, dtype: type) -> Path:
        name = f"{self.encoded.fingerprint}-{self.arithmetic}-kept-{np.dtype(dtype).name}"
        return self.budget.folder / name

    def _forms(self, dtype: type) -> dict[str, Form]:
        return _forms(self.teacher, self.encoded, self.needs, dtype)

    def _stored(self, place: Path, forms: dict[str, Form], *, in_memory: bool) -> dict[str, np.ndarray]:
        """The arrays that lie in `place` whole and in the form wanted."""
        found = {name: _stored(_array_in(place, name), *forms[name], in_memory=in_memory) for name in forms}
        return {name: array for name, array in found.items() if array is not None}

    def _fill(self, place: Path, forms: dict[str, Form], *, in_memory: bool) -> None:
        """Compute and store what is missing in `place`, where there is room for it."""
        with filling(place, self.tick):
            there = self._stored(place, forms, in_memory=in_memory)
            missing = [name for name in forms if name not in there]
            new_bytes = _bytes_of(forms, missing)
            teachers = self.budget.folder.parent.parent
            room = {"budget_bytes": self.budget.disk_bytes, "leave_bytes": self.budget.leave_bytes}
            if not missing or not make_room(teachers, place, new_bytes=new_bytes, **room):
                return
            place.mkdir(parents=True, exist_ok=True)
            temporary = {name: place / f".{name}.tmp" for name in missing}
            seals = {name: place / f".{name}.sha256.tmp" for name in missing}
            try:
                for path in seals.values():  # their place, too, before anything is computed
                    path.write_bytes(bytes(SEAL_BYTES))
                arrays = {
                    name: np.lib.format.open_memmap(
                        path, mode="w+", dtype=forms[name][1], shape=forms[name][0]
                    )
                    for name, path in temporary.items()
                }
                for path in temporary.values():
                    take_place(path)
                self._compute(arrays)
                for name, array in arrays.items():
                    array.flush()
                    os.replace(temporary[name], _array_in(place, name))
                    _seal(_array_in(place, name), seals[name])
            finally:
                for path in (*temporary.values(), *seals.values()):
                    path.unlink(missing_ok=True)

    def _compute(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Fill the named arrays in one pass over the set, from long to short."""
        encoded, device = self.encoded, next(self.teacher.parameters()).device
        map_offsets, done = _map_offsets(encoded, as_classifier(self.teacher).config.num_attention_heads), 0
        needs = _missing(self.needs, list(arrays))
        for positions in encoded.evaluation_batches():
            with torch.no_grad():
                # What is stored does not depend on what was stored before.
                batch = encoded.batch(positions).to(device)
                found = answer(self.teacher, batch.inputs, needs, record_all=True, run_in=self.run_in)
            if found.logits is not None:
                arrays["logits"][positions] = found.logits.float().cpu().numpy()
            for name, layer in needs.readings:
                values, file = found.readings[name][layer].float().cpu().numpy(), _file_name(name, layer)
                if READINGS[name].form == "map":
                    _store_maps(arrays[file], values, positions, encoded.lengths, map_offsets)
                else:
                    arrays[file][positions] = values
            done += len(positions)
            self.tick(done / len(encoded))

    def _kept(self, arrays: dict[str, np.ndarray], place: Path, where: str, dtype: type) -> KeptOutputs:
        size = sum(array.nbytes for array in arrays.values())
        kept = KeptOutputs(
            arrays,
            self.encoded,
            as_classifier(self.teacher).config.num_attention_heads,
            reason=f"cached {where}: {size / MEBIBYTE:,.1f} MiB, {np.dtype(dtype).name}",
            memory_bytes=0 if where.startswith("mapped") else size,
        )
        with suppress(OSError):
            now_in_use(place, kept)
        return kept


def _forms(teacher: nn.Module, encoded: EncodedSet, needs: Needs, dtype: type) -> dict[str, Form]:
    """Every file that is needed, with its form."""
    config = as_classifier(teacher).config
    shapes: dict[str, tuple[int, ...]] = {
        "vector": (len(encoded), config.hidden_size),
        "map": (int(_map_offsets(encoded, config.num_attention_heads)[-1]),),
    }
    # Logits stay in float32: they are small, and the soft-label loss is read to seven digits.
    logits: dict[str, Form] = (
        {"logits": ((len(encoded), config.num_labels), np.float32)} if needs.logits else {}
    )
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
    """The array in a file, or None where there is none, or a damaged one, or one of another form. One that
    is not as it was written would teach and measure something else without a word.
    """
    try:
        if _sum_of(path).read_text(encoding="ascii") != kept_sum(path):
            return None
        array = np.load(path, mmap_mode=None if in_memory else "r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return array if isinstance(array, np.ndarray) and array.shape == shape and array.dtype == dtype else None


def _array_in(place: Path, name: str) -> Path:
    return place / f"{name}.npy"


def _sum_of(path: Path) -> Path:
    """Where the sum of an array's file stands."""
    return path.with_suffix(".sha256")


def _seal(path: Path, seal: Path) -> None:
    """Write down what an array's file holds, in a file that has its place already."""
    with open(seal, "r+b") as file:
        file.write(kept_sum(path).encode("ascii"))
    os.replace(seal, _sum_of(path))


def _store_maps(
    flat: np.ndarray, log_probs: np.ndarray, positions: np.ndarray, lengths: np.ndarray, offsets: np.ndarray
) -> None:
    for row, position in enumerate(positions):
        length = lengths[position]
        flat[offsets[position] : offsets[position + 1]] = log_probs[row, :, :length, :length].reshape(-1)


def _map_offsets(encoded: EncodedSet, num_heads: int) -> np.ndarray:
    offsets: np.ndarray = np.r_[0, np.cumsum(num_heads * encoded.lengths.astype(np.int64) ** 2)]
    return offsets


def _file_name(reading: str, layer: int) -> str:
    return f"{reading}_{layer:02d}"


def _bytes_of(forms: dict[str, Form], names: list[str]) -> int:
    return sum(int(np.prod(forms[name][0])) * np.dtype(forms[name][1]).itemsize for name in names)
