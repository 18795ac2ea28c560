"""Attention maps against attention maps: KL and filters."""

from collections.abc import Sequence

import numpy as np

from kdviz.data.tokens import are_special
from kdviz.runs.arrays import ROOT_STEPS


def row_kl(teacher_maps: np.ndarray, student_maps: np.ndarray) -> np.ndarray:
    """KL(teacher row ‖ student row) in nats for maps of shape (..., query, key); returns (..., query), never
    below 0.

    Equation 2 of the paper, one row at a time. A map that went through a softmax has no zeros and is taken as
    it is. A stored one can have: float16 drops what is below about 3e-8, the stored demo's bytes what is
    below 1.6e-5. An exact zero would make the KL infinite, so when either side has one, every probability is
    lifted to at least half the smallest that was stored (or that those bytes can hold, where that is less),
    and the rows are scaled back to sum to 1.

    Both sides are treated alike, so a map against itself is exactly 0.
    """
    return np.maximum(row_terms(teacher_maps, student_maps)[2].sum(axis=-1), 0.0)


def row_terms(
    teacher_maps: np.ndarray, student_maps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `row_kl` adds up, key by key: the teacher's probabilities, the student's, and teacher ×
    log(teacher / student) in nats, each of shape (..., query, key). A term may be negative, a row's sum never
    is.
    """
    teacher, student = _same_shape(teacher_maps, student_maps)
    epsilon = _floor(teacher, student)
    teacher, student = _lift(teacher, epsilon), _lift(student, epsilon)
    return teacher, student, teacher * (np.log(teacher) - np.log(student))


def pair_kl_heads(
    teacher_maps: np.ndarray, student_maps: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """KL in nats of every head of every matched pair, shape (pairs, heads), mean over query rows.

    Maps have shape (layers, heads, query, key); `pairs` lists (student layer, teacher layer), 0-based.
    """
    teacher, student = np.asarray(teacher_maps), np.asarray(student_maps)
    student_layers, teacher_layers = zip(*pairs, strict=True)
    return row_kl(teacher[list(teacher_layers)], student[list(student_layers)]).mean(axis=-1)


def pair_kl(
    teacher_maps: np.ndarray, student_maps: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """KL in nats of every matched pair, shape (pairs,): `pair_kl_heads` averaged over heads."""
    return pair_kl_heads(teacher_maps, student_maps, pairs).mean(axis=-1)


def kept_tokens(tokens: Sequence[str], *, hide_special: bool) -> list[int]:
    """0-based positions which stay in sight: all, or all but the special tokens. If nothing else is there,
    all stay.
    """
    kept = [place for place, special in enumerate(are_special(tokens)) if not (hide_special and special)]
    return kept or list(range(len(tokens)))


def filter_maps(
    maps: np.ndarray,
    tokens: Sequence[str],
    *,
    hide_special: bool = False,
    renormalise: bool = False,
    threshold: float = 0.0,
) -> tuple[np.ndarray, list[str], list[int]]:
    """What is shown of (..., query, key) maps: `(maps, tokens, kept positions)`.

    `hide_special` drops the rows and columns of special tokens ([CLS] and [SEP]); with `renormalise` the
    remaining rows are scaled to sum to 1 again, otherwise they sum to less. Links weaker than `threshold`
    become NaN (blank) after that. KL is to be computed on the maps before the threshold. A row that loses
    everything stays 0. ValueError where the maps are not of these tokens.
    """
    shown = np.asarray(maps, dtype=np.float64)
    if shown.shape[-1] != len(tokens) or shown.shape[-2] != len(tokens):
        raise ValueError(
            f"expected maps of {len(tokens)} x {len(tokens)} (one row and column a token), got "
            f"{shown.shape[-2]} x {shown.shape[-1]}"
        )
    kept = kept_tokens(tokens, hide_special=hide_special)
    shown = shown[..., kept, :][..., kept]
    if renormalise:
        totals = shown.sum(axis=-1, keepdims=True)
        shown = np.divide(shown, totals, out=np.zeros_like(shown), where=totals > 0)
    if threshold > 0:
        shown = np.where(shown < threshold, np.nan, shown)
    return shown, [tokens[place] for place in kept], kept


def _same_shape(teacher_maps: np.ndarray, student_maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    teacher, student = np.asarray(teacher_maps, dtype=np.float64), np.asarray(student_maps, dtype=np.float64)
    if teacher.shape != student.shape or teacher.ndim < 2:
        raise ValueError(
            f"expected two maps of the same shape (..., query, key), got {teacher.shape} and {student.shape}"
        )
    return teacher, student


def _floor(teacher: np.ndarray, student: np.ndarray) -> float:
    smallest = [side[side > 0].min() for side in (teacher, student) if (side == 0).any() and (side > 0).any()]
    return min(ROOT_STEPS**-2, *smallest) / 2 if smallest else 0.0


def _lift(maps: np.ndarray, epsilon: float) -> np.ndarray:
    if epsilon <= 0:
        return maps
    lifted = np.maximum(maps, epsilon)
    return lifted / lifted.sum(axis=-1, keepdims=True)
