"""Where the student's layers sit in the teacher: linear CKA of every student layer with every teacher
layer.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from kdviz.figures.base import (
    SMALL,
    cell_numbers,
    heading_text,
    heatmap,
    numbers,
    play_controls,
    safe,
    scatter,
    side_bar,
)
from kdviz.figures.panels import Panels
from kdviz.palette import TEACHER_COLOUR, colour_scale, theme

CELL_PIXELS = 46
CONTROL_PIXELS = 110


def cka_film(
    matrices: Sequence[np.ndarray],
    epochs: Sequence[float],
    pairs: Sequence[tuple[int, int]],
    *,
    over: str,
    active: int = -1,
    dark: bool = False,
) -> go.Figure:
    """The CKA map over epochs: `matrices` (m, student layers, teacher layers) with a frame each, slider and
    play button. Opens on the last.
    """
    return _figure(matrices, epochs, pairs, over, active % len(matrices), dark)


def _figure(
    matrices: Sequence[np.ndarray],
    epochs: Sequence[float | None],
    pairs: Sequence[tuple[int, int]],
    over: str,
    active: int,
    dark: bool,
) -> go.Figure:
    matrices = [np.asarray(matrix, dtype=np.float64) for matrix in matrices]
    num_student, num_teacher = matrices[0].shape
    panels = Panels(dark=dark)
    panels.add(_heat(matrices[active], dark))
    panels.add(_most_similar(matrices[active]))
    panels.add(cell_numbers(matrices[active], zmax=1.0, dark=dark))
    for student, teacher in pairs:
        panels.frame(teacher, student, 0.47, line={"color": TEACHER_COLOUR, "width": 2.5, "dash": "dot"})
    layers = {"tickmode": "array", "showgrid": False, "fixedrange": True}
    panels.x_axis(
        tickvals=list(range(num_teacher)),
        ticktext=[str(layer + 1) for layer in range(num_teacher)],
        title={"text": "teacher layer", "standoff": 6},
        range=[-0.5, num_teacher - 0.5],
        **layers,
    )
    panels.y_axis(
        tickvals=list(range(num_student)),
        ticktext=[str(layer + 1) for layer in range(num_student)],
        title={"text": "student layer"},
        range=[-0.5, num_student - 0.5],
        **layers,
    )

    def headings(place: int) -> list[dict]:
        at = "" if epochs[place] is None else f" · epoch {epochs[place]:g}"
        return [
            heading_text(f"<b>Linear CKA</b>{at} · {safe(over)}", x=0, dark=dark, shift=26),
            heading_text(
                "dot: the teacher layer most like it; framed: matched pair", x=0, dark=dark, size=SMALL
            ),
        ]

    panels.notes = headings(active)
    map_pixels = max(2, num_student) * CELL_PIXELS
    size = {"height": map_pixels + 118, "margin": {"t": 62, "b": 56}, "showlegend": False}
    if len(matrices) == 1:
        return panels.figure(**size)
    frames = [
        {
            "name": str(place),
            "traces": [0, 1, 2],
            "layout": {"annotations": headings(place)},
            "data": [
                {"type": "heatmap", "z": numbers(matrix, 3)},
                {"type": "scatter", "x": _most_similar_layers(matrix)},
                cell_numbers(matrix, zmax=1.0, dark=dark),
            ],
        }
        for place, matrix in enumerate(matrices)
    ]
    controls = play_controls(
        [f"{epoch:g}" for epoch in epochs], active=active, dark=dark, prefix="epoch ", top=-50 / map_pixels
    )
    return panels.figure(
        **size | {"height": size["height"] + CONTROL_PIXELS, "margin": {"t": 62, "b": 56 + CONTROL_PIXELS}},
        frames=frames,
        **controls,
    )


def _heat(matrix: np.ndarray, dark: bool) -> dict:
    return heatmap(
        z=numbers(matrix, 3),
        zmin=0,
        zmax=1,
        colorscale=colour_scale(theme(dark).sequential),
        colorbar=side_bar("CKA", dark),
        xgap=1,
        ygap=1,
        hovertemplate="CKA %{z:.3f}<extra></extra>",
    )


def _most_similar(matrix: np.ndarray) -> dict:
    return scatter(
        x=_most_similar_layers(matrix),
        y=[layer + 0.3 for layer in range(len(matrix))],
        mode="markers",
        name="most similar",
        hoverinfo="skip",
        marker={
            "symbol": "circle",
            "size": 9,
            "color": TEACHER_COLOUR,
            "line": {"color": "#000000", "width": 1},
        },
    )


def _most_similar_layers(matrix: np.ndarray) -> list[float | None]:
    """The teacher layer most like each student layer; None where a diverged student's numbers are not
    finite.
    """
    return numbers(np.where(np.isfinite(matrix).all(axis=1), matrix.argmax(axis=1), np.nan))
