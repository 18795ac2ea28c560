"""Layer matching: which student layer is compared with which teacher layer."""

from __future__ import annotations

from kdviz.config import custom_layers
from kdviz.errors import RequestError


def match_layers(
    matching: str, num_student_layers: int, num_teacher_layers: int
) -> tuple[tuple[int, int], ...]:
    """Matched pairs (student layer, teacher layer), 0-based.

    `uniform` is the paper's: the teacher's layers are cut into as many groups as the student has layers, and
    each student layer is matched with the upper layer of its group; where the depths do not divide, group
    ends are rounded down. RequestError where the student is deeper than the teacher or a custom list does not
    fit.
    """
    if num_student_layers > num_teacher_layers:
        raise RequestError(
            f"student_layers: expected at most {num_teacher_layers}, the teacher's layers, got "
            f"{num_student_layers}; choose a shallower student",
            field="student_layers",
        )
    ranks = range(1, num_student_layers + 1)
    if matching == "uniform":
        teacher_layers = [rank * num_teacher_layers // num_student_layers - 1 for rank in ranks]
    elif matching == "first":
        teacher_layers = [rank - 1 for rank in ranks]
    elif matching == "last":
        teacher_layers = [num_teacher_layers - num_student_layers + rank - 1 for rank in ranks]
    else:
        teacher_layers = _custom_layers(matching, num_student_layers, num_teacher_layers)
    return tuple(enumerate(teacher_layers))


def _custom_layers(matching: str, num_student_layers: int, num_teacher_layers: int) -> list[int]:
    try:
        layers = custom_layers(matching)
    except ValueError:
        layers = []
    rising = all(lower < upper for lower, upper in zip(layers, layers[1:]))
    if (
        len(layers) != num_student_layers
        or not rising
        or not all(0 <= layer < num_teacher_layers for layer in layers)
    ):
        raise RequestError(
            f"matching: expected custom: and {num_student_layers} rising teacher layers from 0 to "
            f"{num_teacher_layers - 1} "
            f"(the lowest is 0; one for each student layer), got {matching[:80]!r}",
            field="matching",
        )
    return layers
