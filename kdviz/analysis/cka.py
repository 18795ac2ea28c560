"""Linear centred kernel alignment: where in the teacher a student's layer sits. Kornblith et al., ICML 2019,
equation 3.
"""

from collections.abc import Sequence

import numpy as np


def linear_cka(features: np.ndarray, other_features: np.ndarray) -> float:
    """Similarity, 0 to 1, of two feature matrices (n, d1) and (n, d2) over the same n examples.

    Blind to rotations and to one common scale of either side. A side that does not vary over the examples has
    no direction to compare: the answer is 0.
    """
    return float(
        cka_matrix([np.asarray(features, dtype=np.float64)], [np.asarray(other_features, dtype=np.float64)])[
            0, 0
        ]
    )


def cka_matrix(student_features: Sequence[np.ndarray], teacher_features: Sequence[np.ndarray]) -> np.ndarray:
    """`linear_cka` of every student layer with every teacher layer: (student layers, teacher layers).

    Worked out in the precision of what is given, at least float32.
    """
    students, teachers = _centred(student_features), _centred(teacher_features)
    if len({len(layer) for layer in (*students, *teachers)}) != 1:
        raise ValueError(
            "expected features (n, d) over the same n examples, got "
            f"{[layer.shape for layer in (*students, *teachers)]}"
        )
    own_student, own_teacher = (
        [float(np.linalg.norm(layer.T @ layer)) for layer in layers] for layers in (students, teachers)
    )
    table = np.zeros((len(students), len(teachers)))
    for row, student in enumerate(students):
        for column, teacher in enumerate(teachers):
            own = own_student[row] * own_teacher[column]
            if own > np.finfo(np.float64).tiny:
                table[row, column] = np.clip(np.linalg.norm(teacher.T @ student) ** 2 / own, 0.0, 1.0)
    return table


def _centred(features: Sequence[np.ndarray]) -> list[np.ndarray]:
    layers = [np.asarray(layer) for layer in features]
    if any(layer.ndim != 2 for layer in layers):
        raise ValueError(
            f"expected features (n, d) over the same n examples, got {[layer.shape for layer in layers]}"
        )
    layers = [layer.astype(np.result_type(layer.dtype, np.float32), copy=False) for layer in layers]
    return [layer - layer.mean(axis=0, dtype=np.float64).astype(layer.dtype) for layer in layers]
