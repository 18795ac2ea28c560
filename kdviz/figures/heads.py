"""All heads at a glance, and which student head stands in for which teacher head."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from kdviz.analysis.heads import HeadMatch
from kdviz.figures.base import (
    SMALL,
    bar,
    cell_numbers,
    click_layer,
    heatmap,
    numbers,
    safe,
    scatter,
    side_bar,
)
from kdviz.figures.curves import pair_name
from kdviz.figures.panels import Panels, side_by_side
from kdviz.palette import colour_scale, strategy_style, theme
from kdviz.text import decimals

CELL_PIXELS = 36
NARROW_CELL_PIXELS = 26
MOST_WRITTEN, NARROW_WRITTEN = 16, 8
"""Cells in a row up to which their numbers are written, on a wide screen and on a phone."""


def heads_overview(
    kl: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    over: str,
    chosen: tuple[int, int] | None = None,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """KL of every head of every matched pair, (pairs, heads) in nats, as one heat map; layer 1 at the bottom.

    `over` says what the numbers are means of, with n. `chosen` (pair, head) is framed. A click returns
    customdata [pair, head]. `narrow` is for a phone: heads go downwards, pairs to the right.
    """
    kl = np.asarray(kl, dtype=np.float64)
    num_pairs, num_heads = kl.shape
    panels, shown = Panels(dark=dark), kl.T if narrow else kl
    panels.add(_matrix_trace(shown, dark))
    cells = [(pair, head) for pair in range(num_pairs) for head in range(num_heads)]
    places = cells if narrow else [(head, pair) for pair, head in cells]
    panels.add(
        click_layer(
            [x for x, _ in places],
            [y for _, y in places],
            [list(cell) for cell in cells],
            [
                f"{pair_name(pairs[pair])}, head {head + 1}<br>KL {decimals(kl[pair, head])} nats"
                for pair, head in cells
            ],
            name="heads",
        )
    )
    if shown.shape[1] <= MOST_WRITTEN:
        panels.add(cell_numbers(shown, zmax=_highest(kl), dark=dark))
    heads = _cells_axis([str(head + 1) for head in range(num_heads)], "head")
    layers = _cells_axis(
        [f"{student + 1} ↔ {teacher + 1}" for student, teacher in pairs], "student ↔ teacher layer"
    )
    panels.x_axis(**(layers if narrow else heads))
    panels.y_axis(**(heads | {"range": heads["range"][::-1]} if narrow else layers))
    panels.heading(f"<b>Attention KL of every head</b> · mean over {safe(over)}")
    if chosen is not None:
        pair, head = chosen
        _frame(panels, *((pair, head) if narrow else (head, pair)), theme(dark).text, width=3)
    return panels.figure(
        height=130 + (num_heads * NARROW_CELL_PIXELS if narrow else num_pairs * CELL_PIXELS),
        margin={"l": 60 if narrow else 90, "t": 40},
    )


def head_matching(
    matrix: np.ndarray,
    match: HeadMatch,
    *,
    pair: tuple[int, int],
    over: str,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Teacher heads (rows) × student heads (columns) by KL in nats, with the best assignment framed and
    same-index partners dotted.

    The student's heads stand in the order of their teacher partners, so that the assignment lies on the
    diagonal. A click returns customdata [teacher head, student head]. `narrow` leaves the numbers to the
    colours where they would not fit a phone.
    """
    look, matrix = theme(dark), np.asarray(matrix, dtype=np.float64)
    num_teacher, num_student = matrix.shape
    assigned = [head for head in match.student_heads if head >= 0]
    order = assigned + [head for head in range(num_student) if head not in assigned]
    shown = matrix[:, order]
    panels = Panels(dark=dark)
    panels.add(_matrix_trace(shown, dark))
    cells = [(teacher, column) for teacher in range(num_teacher) for column in range(num_student)]
    panels.add(
        click_layer(
            [column for _, column in cells],
            [teacher for teacher, _ in cells],
            [[teacher, order[column]] for teacher, column in cells],
            [
                f"teacher head {teacher + 1}, student head {order[column] + 1}<br>KL "
                f"{decimals(shown[teacher, column])} nats"
                for teacher, column in cells
            ],
            name="head pairs",
        )
    )
    if num_student <= (NARROW_WRITTEN if narrow else MOST_WRITTEN):
        panels.add(cell_numbers(shown, zmax=_highest(shown), dark=dark))
    for teacher, student in enumerate(match.student_heads):
        if teacher < num_student:
            _frame(panels, order.index(teacher), teacher, look.muted, width=1.5, dash="dot")
        if student >= 0:
            _frame(panels, order.index(student), teacher, look.text, width=2.5)
    title = f"head of student layer {pair[0] + 1}, in the order of the best partners"
    panels.x_axis(**_cells_axis([str(head + 1) for head in order], title))
    teacher_axis = _cells_axis(
        [str(head + 1) for head in range(num_teacher)], f"head of teacher layer {pair[1] + 1}"
    )
    panels.y_axis(**teacher_axis | {"range": teacher_axis["range"][::-1]})
    panels.heading(
        f"<b>Best partners {match.matched_kl:.2f} nats</b> · same index {match.same_index_kl:.2f} · gain "
        f"{match.gain:.2f}, {match.moved} of {num_teacher} heads elsewhere",
        shift=26,
    )
    panels.heading(
        f"sums over heads of the mean KL over {safe(over)}; framed: best partner, dotted: same index",
        size=SMALL,
    )
    return panels.figure(height=170 + num_teacher * CELL_PIXELS, margin={"l": 70, "t": 62})


def head_drift_chart(
    epochs: Sequence[float],
    changed: Sequence[int],
    matched_kl: Sequence[float],
    same_index_kl: Sequence[float],
    *,
    num_heads: int,
    strategy: str,
    dark: bool = False,
) -> go.Figure:
    """Left: teacher heads that changed partner since the moment before. Right: total KL in nats with best and
    with same-index partners.
    """
    style, look = strategy_style(strategy), theme(dark)
    most = max([1, *changed])
    panels = Panels(side_by_side([1, 1], spacing=0.09), dark=dark)
    panels.add(
        bar(
            x=numbers(epochs, 3),
            y=list(changed),
            marker={"color": style.colour},
            name="changed partner",
            showlegend=False,
            hovertemplate="epoch %{x:.2f}<br>%{y} of "
            + str(num_heads)
            + " heads changed partner<extra></extra>",
        )
    )
    lines = (
        (same_index_kl, "same index", look.muted, "dot"),
        (matched_kl, "best partners", style.colour, style.dash),
    )
    for values, name, colour, dash in lines:
        panels.add(
            scatter(
                x=numbers(epochs, 3),
                y=numbers(values, 4),
                name=name,
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": style.symbol if name == "best partners" else "circle", "size": 7},
                hovertemplate=f"{name}<br>epoch %{{x:.2f}}: %{{y:.3f}} nats<extra></extra>",
            ),
            2,
        )
    panels.x_axis(title={"text": "epoch", "standoff": 6})
    panels.y_axis(1, title={"text": f"heads of {num_heads}"}, range=[0, most * 1.1], dtick=-(-most // 5))
    panels.y_axis(2, title={"text": "nats, sum over heads"}, rangemode="tozero")
    panels.heading("<b>Partners changed</b> since the moment before" + (": none" if not any(changed) else ""))
    panels.heading("<b>Total KL</b>, best against same index", panel=2)
    legend = {
        "orientation": "h",
        "x": 1,
        "xanchor": "right",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
    }
    return panels.figure(height=320, margin={"t": 44, "b": 84}, legend=legend)


def _matrix_trace(values: np.ndarray, dark: bool) -> dict:
    return heatmap(
        z=numbers(values),
        zmin=0,
        zmax=_highest(values),
        colorscale=colour_scale(theme(dark).sequential),
        colorbar=side_bar("KL (nats)", dark),
        xgap=1,
        ygap=1,
        hoverinfo="skip",
    )


def _highest(values: np.ndarray) -> float:
    """Upper end of the colour scale, never 0; a diverged run has blank cells."""
    return max(float(values[np.isfinite(values)].max(initial=0.0)), 1e-6)


def _cells_axis(names: Sequence[str], title: str) -> dict:
    """One name a cell."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "title": {"text": title, "standoff": 6},
        "showgrid": False,
        "range": [-0.5, len(names) - 0.5],
        "fixedrange": True,
    }


def _frame(panels: Panels, x: float, y: float, colour: str, *, width: float, dash: str = "solid") -> None:
    panels.frame(x, y, 0.46, line={"color": colour, "width": width, "dash": dash})
