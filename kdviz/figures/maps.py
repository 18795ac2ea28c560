"""Attention heat maps: teacher, student and their signed difference, on one scale and one set of axes."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from kdviz.figures.base import (
    CHARACTER_PIXELS,
    LONGEST_LABEL,
    SMALL,
    badge,
    bar,
    click_layer,
    heatmap,
    numbers,
    safe,
)
from kdviz.figures.panels import Panels, side_by_side
from kdviz.palette import TEACHER_COLOUR, colour_scale, strategy_style, theme

ROW_PIXELS = 17
WIDEST_CLICK_LAYER = 40
SCALE_PIXELS = 60


def attention_maps(
    teacher_map: np.ndarray,
    student_map: np.ndarray,
    tokens: Sequence[str],
    *,
    teacher_title: str,
    student_title: str,
    row_kl: Sequence[float] | None = None,
    strategy: str = "all",
    note: str = "",
    clickable: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Teacher, student, teacher − student, and the KL of every row beside them.

    `teacher_map` and `student_map`: (query, key) of one head, or of the head average; `row_kl`: (query,) in
    nats, whose mean is the number shown. Titles as from `map_title`. `note` states filters in force. Blank
    (NaN) cells stay blank. With `clickable`, a click returns customdata [query, key] (0-based positions in
    `tokens`).
    """
    teacher_map, student_map = (
        np.asarray(teacher_map, dtype=np.float64),
        np.asarray(student_map, dtype=np.float64),
    )
    has_bars = row_kl is not None
    widths = [0.3, 0.3, 0.3, 0.1] if has_bars else [1 / 3] * 3
    panels = Panels(side_by_side(widths, spacing=0.022), shared_y=True, dark=dark)
    zmax = shared_maximum(teacher_map, student_map)
    texts = cell_texts(tokens)
    panels.add(attention_trace(teacher_map, texts, zmax=zmax, name="teacher", dark=dark, scale=(0, 0.55)))
    panels.add(attention_trace(student_map, texts, zmax=zmax, name="student", dark=dark), 2)
    panels.add(difference_trace(teacher_map, student_map, texts, dark=dark, scale=(0.61, 0.9)), 3)
    headings = [
        f"{badge(TEACHER_COLOUR)} <b>Teacher</b><br>{safe(teacher_title)}",
        f"{badge(strategy_style(strategy).colour)} <b>Student</b><br>{safe(student_title)}",
        f"<b>Teacher − student</b><br>{equality(teacher_map, student_map)}",
    ]
    if has_bars:
        panels.add(row_kl_trace(row_kl, tokens, dark=dark), 4)
        headings.append(f"<b>KL {float(np.mean(row_kl)):.3f}</b><br>nats")
    token_axes(panels, tokens, columns=3)
    if has_bars:
        row_bars_axis(panels, len(tokens), panel=4)
    for panel, text in enumerate(headings, start=1):
        panels.heading(text, panel=panel)
    known_margins(panels)
    height, margin = map_size(tokens, extra_top=16 + (26 if note else 0))
    scale_captions(panels, margin["b"], attention=0.275, difference=0.755)
    if note:
        panels.heading(safe(note), shift=48, size=SMALL)
    if clickable:
        for panel, name in enumerate(("teacher", "student", "difference"), start=1):
            panels.add(_cells(teacher_map, student_map, texts, name), panel)
    return panels.figure(height=height, margin=margin, showlegend=False, bargap=0.25)


def attention_map(
    attention: np.ndarray,
    tokens: Sequence[str],
    *,
    title: str,
    strategy: str | None = None,
    zmax: float | None = None,
    dark: bool = False,
) -> go.Figure:
    """One (query, key) map alone, as wide as the page. `strategy` None is the teacher. Hand both models the
    same `zmax` to compare.
    """
    attention = np.asarray(attention, dtype=np.float64)
    colour = TEACHER_COLOUR if strategy is None else strategy_style(strategy).colour
    who = "Teacher" if strategy is None else "Student"
    trace = attention_trace(
        attention,
        cell_texts(tokens),
        zmax=zmax or shared_maximum(attention),
        name=who.lower(),
        dark=dark,
        scale=(0, 1),
    )
    return _single(trace, f"{badge(colour)} <b>{who}</b> · {safe(title)}", tokens, dark=dark, attention=0.5)


def difference_map(
    teacher_map: np.ndarray, student_map: np.ndarray, tokens: Sequence[str], *, title: str, dark: bool = False
) -> go.Figure:
    """teacher − student alone, as wide as the page; neutral at 0, limits symmetric."""
    trace = difference_trace(teacher_map, student_map, cell_texts(tokens), dark=dark, scale=(0, 1))
    return _single(
        trace,
        f"<b>Teacher − student</b> · {safe(title)}, {equality(teacher_map, student_map)}",
        tokens,
        dark=dark,
        difference=0.5,
    )


def equality(teacher_map: np.ndarray, student_map: np.ndarray) -> str:
    """The largest difference in words, so that an empty-looking map says what it means: "equal" or "at most
    0.312".
    """
    gap = np.abs(np.asarray(teacher_map) - np.asarray(student_map))
    largest = float(np.nanmax(gap)) if np.isfinite(gap).any() else 0.0
    return "equal" if largest == 0 else f"at most {largest:.3f}"


def map_title(layer: int, num_layers: int, head: int | None) -> str:
    """ "layer 2 of 6 · head 3" from 0-based numbers; head None is the average of all heads."""
    return f"layer {layer + 1} of {num_layers} · " + ("mean of heads" if head is None else f"head {head + 1}")


def shared_maximum(*maps: np.ndarray) -> float:
    """Upper end of the common colour scale: the largest finite value of all maps, never 0."""
    finite = [array[np.isfinite(array)] for array in maps]
    return round(float(max((array.max() for array in finite if array.size), default=1.0)) or 1.0, 5)


def difference_limit(teacher_map: np.ndarray, student_map: np.ndarray) -> float:
    """Symmetric limit of the difference scale; at least 0.01, so that rounding noise between equal maps is
    not blown up to colour.
    """
    gap = np.abs(np.asarray(teacher_map) - np.asarray(student_map))
    gap = gap[np.isfinite(gap)]
    return max(0.01, round(float(gap.max()), 5) if gap.size else 0.0)


def cell_texts(tokens: Sequence[str]) -> list[list[str]]:
    """Hover text of every cell, "query → key" with places, so that equal tokens are told apart."""
    names = [f"{safe(token, 40)} ({place})" for place, token in enumerate(tokens, start=1)]
    return [[f"{query} → {key}" for key in names] for query in names]


def attention_trace(
    attention: np.ndarray,
    texts: list,
    *,
    zmax: float,
    name: str,
    dark: bool,
    scale: tuple[float, float] | None = None,
    digits: int = 5,
) -> dict:
    """A map on the sequential scale from 0 to `zmax`; shows a colour bar from left to right of `scale`
    (paper) when given.
    """
    return heatmap(
        z=numbers(attention, digits),
        text=texts,
        name=name,
        zmin=0,
        zmax=zmax,
        colorscale=colour_scale(theme(dark).sequential),
        showscale=scale is not None,
        colorbar=_dress(scale, dark),
        hoverongaps=False,
        **_gaps(texts),
        hovertemplate=f"{name}<br>%{{text}}<br>attention %{{z:.3f}}<extra></extra>",
    )


def difference_trace(
    teacher_map,
    student_map,
    texts: list,
    *,
    dark: bool,
    scale: tuple[float, float] | None = None,
    limit: float | None = None,
    digits: int = 5,
) -> dict:
    """teacher − student on the diverging scale, symmetric around 0."""
    limit = limit or difference_limit(teacher_map, student_map)
    return heatmap(
        z=numbers(np.asarray(teacher_map) - np.asarray(student_map), digits),
        text=texts,
        name="teacher − student",
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=colour_scale(theme(dark).diverging),
        showscale=scale is not None,
        colorbar=_dress(scale, dark),
        hoverongaps=False,
        **_gaps(texts),
        hovertemplate="teacher − student<br>%{text}<br>difference %{z:+.3f}<extra></extra>",
    )


def row_kl_trace(row_kl: Sequence[float], tokens: Sequence[str], *, dark: bool, digits: int = 5) -> dict:
    """One horizontal bar a query row, in nats."""
    return bar(
        x=numbers(row_kl, digits),
        y=list(range(len(tokens))),
        orientation="h",
        name="KL per row",
        marker={"color": theme(dark).muted},
        text=[f"{safe(token, 40)} ({place})" for place, token in enumerate(tokens, start=1)],
        textposition="none",
        hovertemplate="row %{text}<br>KL(teacher ‖ student) %{x:.3f} nats<extra></extra>",
    )


def map_size(tokens: Sequence[str], *, extra_top: int = 0) -> tuple[int, dict]:
    """(height, margin) in pixels for a row of maps: every row label readable, no label cut."""
    longest = min(LONGEST_LABEL, max((len(str(token)) for token in tokens), default=1))
    below = max(30, longest * CHARACTER_PIXELS + 8) + 28 + SCALE_PIXELS
    above = 36 + extra_top
    left = max(70, longest * CHARACTER_PIXELS + 40)
    return max(290, len(tokens) * ROW_PIXELS) + above + below, {"l": left, "r": 14, "t": above, "b": below}


def token_axes(panels: Panels, tokens: Sequence[str], *, columns: int, panel_pixels: int = 270) -> None:
    """Numeric axes with the tokens as tick labels: the same on the first `columns` panels, equal tokens stay
    separate places.

    All rows are named; columns are named as densely as about `panel_pixels` allow, the rest by hover.
    """
    labels = [safe(token, LONGEST_LABEL) for token in tokens]
    step = max(1, -(-len(tokens) * 13 // panel_pixels))
    places = list(range(0, len(tokens), step))
    frame = {"showgrid": False, "mirror": True, "tickmode": "array", "fixedrange": True}
    panels.x_axis(
        *range(1, columns + 1),
        tickvals=places,
        ticktext=[labels[place] for place in places],
        tickangle=-90,
        range=[-0.5, len(tokens) - 0.5],
        title={"text": "key (looked at)", "standoff": 6},
        **frame,
    )
    panels.y_axis(
        *range(1, columns + 1),
        tickvals=list(range(len(tokens))),
        ticktext=labels,
        range=[len(tokens) - 0.5, -0.5],
        **frame,
    )
    panels.y_axis(1, title={"text": "query (looks)", "standoff": 6})


def known_margins(panels: Panels) -> None:
    """Take the margins as `map_size` gives them: plotly's own search for room draws the figure twice, a sixth
    of a click's wait.
    """
    panels.x_axis(automargin=False)
    panels.y_axis(automargin=False)


def row_bars_axis(panels: Panels, num_rows: int, *, panel: int) -> None:
    """Axes of the bars beside the maps: aligned with the query rows, starting at 0 nats."""
    panels.x_axis(
        panel,
        title={"text": f"nats, {num_rows} rows", "standoff": 6},
        rangemode="tozero",
        nticks=3,
        fixedrange=True,
    )
    panels.y_axis(panel, range=[num_rows - 0.5, -0.5], showgrid=False, showticklabels=False, fixedrange=True)


def _gaps(texts: list) -> dict:
    gap = 0.5 if len(texts) <= WIDEST_CLICK_LAYER else 0
    return {"xgap": gap, "ygap": gap}


def _single(trace: dict, title: str, tokens: Sequence[str], *, dark: bool, **captions: float) -> go.Figure:
    panels = Panels(dark=dark)
    panels.add(trace)
    token_axes(panels, tokens, columns=1, panel_pixels=600)
    panels.heading(title)
    known_margins(panels)
    height, margin = map_size(tokens)
    scale_captions(panels, margin["b"], **captions)
    return panels.figure(height=height, margin=margin, showlegend=False)


def _cells(teacher_map: np.ndarray, student_map: np.ndarray, texts: list, name: str) -> dict:
    """Clickable cells of one panel; above `WIDEST_CLICK_LAYER` tokens one marker a row, so that a long
    sentence stays fluid.
    """
    size = len(teacher_map)
    shown = {"teacher": teacher_map, "student": student_map, "difference": teacher_map - student_map}[name]
    keys = range(size) if size <= WIDEST_CLICK_LAYER else [size // 2]
    cells = [(query, key) for query in range(size) for key in keys]
    return click_layer(
        [key for _, key in cells],
        [query for query, _ in cells],
        [list(cell) for cell in cells],
        [f"{name}<br>{texts[query][key]}<br>{shown[query, key]:+.3f}" for query, key in cells],
        name=f"{name} cells",
        size=12,
    )


def scale_captions(
    panels: Panels, bottom_pixels: int, *, attention: float | None = None, difference: float | None = None
) -> None:
    """What the colour bars along the bottom edge mean, centred above them; `bottom_pixels` is the margin they
    stand in.
    """
    for text, x in (
        ("attention probability", attention),
        ("student looks more  ←  0  →  teacher looks more", difference),
    ):
        if x is not None:
            panels.note(
                text=text,
                x=x,
                y=0,
                xref="paper",
                yref="paper",
                xanchor="center",
                yanchor="top",
                yshift=SCALE_PIXELS - 6 - bottom_pixels,
                showarrow=False,
                font={"size": SMALL, "color": theme(panels.dark).muted},
            )


def _dress(scale: tuple[float, float] | None, dark: bool) -> dict | None:
    if scale is None:
        return None
    look = theme(dark)
    return {
        "orientation": "h",
        "x": scale[0],
        "len": scale[1] - scale[0],
        "xanchor": "left",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "thickness": 10,
        "outlinewidth": 1,
        "outlinecolor": look.grid,
        "tickfont": {"size": SMALL, "color": look.text},
        "nticks": 5,
        "xpad": 0,
        "ypad": 6,
    }
