"""Which student head does the work of which teacher head: an assignment problem over KL."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdviz.analysis.maps import row_kl


@dataclass(frozen=True, kw_only=True)
class HeadMatch:
    """The best one-to-one assignment of student heads to teacher heads.

    `student_heads[t]` is the student head that stands in for teacher head t (0-based); `-1` where the student
    has too few. `matched_kl` and `same_index_kl` are sums over the assigned heads in nats; `gain` is
    same-index minus matched, never below 0.
    """

    student_heads: tuple[int, ...]
    matched_kl: float
    same_index_kl: float

    @property
    def gain(self) -> float:
        return self.same_index_kl - self.matched_kl

    @property
    def moved(self) -> int:
        """Number of teacher heads whose best partner has another index."""
        return sum(student not in (-1, teacher) for teacher, student in enumerate(self.student_heads))


def head_kl_matrix(teacher_probes: Sequence[np.ndarray], student_probes: Sequence[np.ndarray]) -> np.ndarray:
    """KL in nats of every teacher head against every student head of one layer, (teacher heads, student
    heads), mean over probes.

    Each probe is a pair of (heads, query, key) maps, in the same order in both lists; lengths may differ
    between probes, so rows are averaged within a probe first and every probe counts the same. ValueError
    where the lists are empty or of two lengths.
    """
    if not teacher_probes or len(teacher_probes) != len(student_probes):
        raise ValueError(
            f"expected the same probes, at least one, on both sides; got {len(teacher_probes)} and "
            f"{len(student_probes)}"
        )
    matrices = []
    for teacher, student in zip(teacher_probes, student_probes, strict=True):
        teacher, student = np.asarray(teacher), np.asarray(student)
        shape = (len(teacher), *student.shape)
        matrices.append(
            row_kl(np.broadcast_to(teacher[:, None], shape), np.broadcast_to(student[None], shape)).mean(
                axis=-1
            )
        )
    return np.mean(matrices, axis=0)


def match_heads(matrix: np.ndarray) -> HeadMatch:
    """Best assignment for a (teacher heads, student heads) KL matrix, by scipy's `linear_sum_assignment`.

    Among equally good assignments same-index partners win: a negligible reward breaks ties, so that a student
    equal to its teacher in several identical heads is not reported as reshuffled.
    """
    from scipy.optimize import linear_sum_assignment

    matrix = np.asarray(matrix, dtype=np.float64)
    nudge = np.eye(*matrix.shape) * 1e-9 * max(1.0, float(np.abs(matrix).max()))
    teacher_heads, student_heads = linear_sum_assignment(matrix - nudge)
    partner = np.full(len(matrix), -1)
    partner[teacher_heads] = student_heads
    matched = float(matrix[teacher_heads, student_heads].sum())
    same_index = float(np.diagonal(matrix).sum())
    return HeadMatch(
        student_heads=tuple(int(head) for head in partner),
        matched_kl=min(matched, same_index),
        same_index_kl=same_index,
    )


def head_drift(matches: Sequence[HeadMatch]) -> list[int]:
    """Number of teacher heads which changed partner since the moment before, one number per moment; the first
    is 0.
    """
    changed = [0]
    for before, after in zip(matches, matches[1:], strict=False):
        changed.append(
            sum(old != new for old, new in zip(before.student_heads, after.student_heads, strict=True))
        )
    return changed[: len(matches)]
