"""One sentence of one run, packed for the browser: every matched pair × head × stored moment.

A pack is a header (JSON: words, epochs, the KL of every pair) and arrays of bytes. Probabilities are stored
in 8 bits, as a share of the largest of their row, so that no cell is off by more than 1/255 of it. Where
there is room, a second byte refines the first: cells are then exact to four decimals. A row that is not
finite (a run that diverged) has shares of the largest 0. KL is never computed from these bytes: it comes in
float32, from the maps themselves.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np

from kdviz.analysis import row_kl
from kdviz.data.tokens import are_special

MAGIC = b"KDX1"
MOST_BYTES = 6_000_000
"""A pack larger than this would be slow to send and to draw: moments are left out, then single heads."""

REFINED_UP_TO_BYTES = 1_000_000
FINE_STEPS, PEAK_STEPS = 254, 65535


def pack(
    *,
    tokens: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    teacher_maps: np.ndarray,
    student_maps: Sequence[np.ndarray],
    steps: Sequence[int],
    epochs: Sequence[float],
    pair_kl: Sequence[Sequence[float] | None] | None = None,
    about: Mapping[str, object] | None = None,
    fine: bool = True,
    num_left_out: int = 0,
) -> bytes:
    """The bytes that the explorer draws from. `fine`: refined where there is room.

    `teacher_maps` (teacher layers, heads, query, key) and one (student layers, heads, query, key) a moment,
    probabilities; `pairs` (student layer, teacher layer), 0-based. `pair_kl` (moments, pairs) in nats as the
    run recorded it; computed from the maps where it is not given (None). `about`: words for the picture,
    JSON. `num_left_out`: recorded moments that are not even given. ValueError where the
    shapes do not fit each other.
    """
    special, tokens = are_special(tokens), [str(token) for token in tokens]
    students, teachers = ([pair[side] for pair in pairs] for side in (0, 1))
    teacher = _checked(teacher_maps, tokens)[teachers]
    if not len(student_maps) == len(steps) == len(epochs) or not len(steps):
        raise ValueError(
            f"expected one student map, step and epoch a moment, at least one; got {len(student_maps)}, "
            f"{len(steps)} and {len(epochs)}"
        )
    kept, with_heads = what_fits(len(steps), len(pairs), teacher.shape[1], len(tokens))
    student = [_checked(student_maps[moment], tokens)[students] for moment in kept]
    rows = np.stack([_with_mean(row_kl(teacher, each)) for each in student])
    recorded = pair_kl or [None] * len(steps)
    numbers = [
        computed if recorded[moment] is None else np.asarray(recorded[moment], dtype=np.float64)
        for moment, computed in zip(kept, rows[:, :, -1].mean(axis=-1), strict=True)
    ]
    teacher, student = _with_mean(teacher), np.stack([_with_mean(each) for each in student])
    if not with_heads:
        teacher, student, rows = teacher[:, -1:], student[:, :, -1:], rows[:, :, -1:]
    refined = fine and 2 * (teacher.size + student.size) <= REFINED_UP_TO_BYTES
    sections = {
        **_coded("teacher", teacher, refined),
        **_coded("student", student, refined),
        "row_kl": rows.astype("<f4"),
    }
    header = {
        "tokens": tokens,
        "special": special,
        "pairs": [list(pair) for pair in pairs],
        "num_heads": teacher.shape[1] - 1,
        "steps": [int(steps[moment]) for moment in kept],
        "epochs": [float(epochs[moment]) for moment in kept],
        "pair_kl": [[value if np.isfinite(value) else None for value in line.tolist()] for line in numbers],
        "refined": refined,
        "num_left_out": num_left_out + len(steps) - len(kept),
        "about": dict(about or {}),
    }
    return _written(header, sections)


def what_fits(num_moments: int, num_pairs: int, num_heads: int, num_tokens: int) -> tuple[list[int], bool]:
    """(moments kept, whether single heads are kept) of a sentence of that size: all, but in a pack of at most
    `MOST_BYTES`. The first and the last moment always stay.
    """
    one_moment = num_pairs * (num_heads + 1) * num_tokens * (num_tokens + 8)
    room = MOST_BYTES // one_moment - 1
    with_heads = room >= min(2, num_moments)
    if not with_heads:
        room = MOST_BYTES // (one_moment // (num_heads + 1)) - 1
    most = min(num_moments, max(2, room))
    return sorted(set(np.linspace(0, num_moments - 1, most).round().astype(int).tolist())), with_heads


def hold_the_same(packs: Sequence[bytes]) -> bool:
    """Whether one picture can lay these packs over each other: the same tokens (two runs may have cut one
    sentence at other lengths), matched pairs and single heads in all of them.
    """
    headers = [header_of(packed) for packed in packs]
    return all(
        header[name] == headers[0][name] for header in headers for name in ("tokens", "pairs", "num_heads")
    )


def header_of(packed: bytes) -> dict:
    """The header of a pack, read back; ValueError where `packed` is none."""
    if packed[:4] != MAGIC:
        raise ValueError(f"expected a pack that begins with {MAGIC!r}, got {packed[:4]!r}")
    (length,) = struct.unpack_from("<I", packed, 4)
    return json.loads(packed[8 : 8 + length])


def _checked(maps: np.ndarray, tokens: Sequence[str]) -> np.ndarray:
    maps = np.asarray(maps, dtype=np.float64)
    if maps.ndim != 4 or maps.shape[2:] != (len(tokens), len(tokens)):
        raise ValueError(
            f"expected maps of shape (layers, heads, {len(tokens)}, {len(tokens)}) for {len(tokens)} "
            f"tokens, got {maps.shape}"
        )
    return maps


def _with_mean(values: np.ndarray) -> np.ndarray:
    """(pairs, heads, …) with one more head behind the others: their mean."""
    return np.concatenate([values, values.mean(axis=1, keepdims=True)], axis=1)


def _coded(name: str, maps: np.ndarray, refined: bool) -> dict[str, np.ndarray]:
    is_lost = ~np.isfinite(maps).all(axis=-1, keepdims=True)
    maps = np.where(is_lost, 0.0, np.clip(maps, 0.0, 1.0))
    peaks = np.ceil(maps.max(axis=-1) * PEAK_STEPS).astype("<u2")
    scale = np.where(peaks > 0, peaks / (255 * PEAK_STEPS), 1.0)[..., None]
    shares = np.minimum(maps / scale, 255.0)
    codes = np.round(shares)
    written = np.where(is_lost, 255, codes).astype(np.uint8)
    coded = {f"{name}_codes": written, f"{name}_peaks": peaks}
    if refined:
        coded[f"{name}_fine"] = np.round((shares - codes) * FINE_STEPS).astype(np.int8)
    return coded


def _written(header: dict, sections: Mapping[str, np.ndarray]) -> bytes:
    """Magic, length of the header, header, then the arrays, each at a multiple of four bytes. The header's
    `id` names the content: the same sentence of the same run has the same.
    """
    places, body = {}, bytearray()
    for name, values in sections.items():
        places[name] = [len(body), values.size]
        body += values.tobytes() + bytes(-values.nbytes % 4)
    header = {**header, "sections": places}
    name = sha256(json.dumps(header).encode() + body).hexdigest()[:16]
    text = json.dumps({"id": name, **header}, separators=(",", ":"), allow_nan=False).encode()
    return MAGIC + struct.pack("<I", len(text)) + text + bytes(-len(text) % 4) + bytes(body)
