"""Linear centred kernel alignment: where in the teacher a student's layer sits. Kornblith et al., ICML 2019, equation 3."""

from collections.abc import Sequence

import numpy as np


def linear_cka(features: np.ndarray, other_features: np.ndarray) -> float:
    """Similarity, 0 to 1, of two feature matrices (n, d1) and (n, d2) over the same n examples.

    Blind to rotations and to one common scale of either side. A side that does not vary over the examples has no direction to
    compare: the answer is 0.
    """
    first, second = np.asarray(features, dtype=np.float64), np.asarray(other_features, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise ValueError(f"expected (n, d1) and (n, d2) over the same n examples, got {first.shape} and {second.shape}")
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    own = np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second)
    if own <= np.finfo(np.float64).tiny:
        return 0.0
    return float(np.clip(np.linalg.norm(second.T @ first) ** 2 / own, 0.0, 1.0))


def cka_matrix(student_features: Sequence[np.ndarray], teacher_features: Sequence[np.ndarray]) -> np.ndarray:
    """`linear_cka` of every student layer with every teacher layer: (student layers, teacher layers)."""
    return np.array([[linear_cka(student, teacher) for teacher in teacher_features] for student in student_features])
