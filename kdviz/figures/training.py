"""Through training: maps, difference and the cursors on the curves move together, in the browser alone
(plotly frames).
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from kdviz.figures.base import (
    CHARACTER_PIXELS,
    LONGEST_LABEL,
    SMALL,
    badge,
    heading_text,
    numbers,
    play_controls,
    safe,
    scatter,
    spread,
)
from kdviz.figures.maps import (
    ROW_PIXELS,
    attention_trace,
    cell_texts,
    difference_trace,
    row_bars_axis,
    row_kl_trace,
    shared_maximum,
    token_axes,
)
from kdviz.figures.panels import Domain, Panels, side_by_side
from kdviz.palette import TEACHER_COLOUR, blend, strategy_style, theme

CURVE_PIXELS = 190
CONTROL_PIXELS = 92
WIDE = ("teacher", "student", "difference", "rows", "kl", "scores")
NARROW = ("student", "kl", "scores")
"""The panels in their order, side by side or one below the other."""

MOVING = {
    "student": "student",
    "difference": "difference",
    "rows": "rows",
    "kl cursor": "kl",
    "score cursor": "scores",
}
"""What changes from frame to frame, and the panel it is in."""


def training_film(
    teacher_map: np.ndarray,
    student_maps: np.ndarray,
    tokens: Sequence[str],
    *,
    epochs: Sequence[float],
    steps: Sequence[int],
    row_kl: np.ndarray,
    teacher_title: str,
    student_title: str,
    attention_kl: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    chosen_pair: int = 0,
    kl_epochs: Sequence[float] | None = None,
    kl_note: str = "this sentence",
    scores: Sequence[float] = (),
    score_epochs: Sequence[float] = (),
    score_name: str = "accuracy",
    num_scored: int | None = None,
    teacher_score: float | None = None,
    strategy: str = "all",
    active: int = 0,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """One figure with a frame for each of m moments: slider and play button need no server.

    Above: teacher map (query, key), `student_maps` (m, query, key), their difference, and `row_kl` (m, query)
    in nats. Below: the attention KL of every matched pair, `attention_kl` (k, pairs) in nats at `kl_epochs`
    (k,; default the moments), and the scores, each with a cursor at the moment shown. One colour scale holds
    for all moments. `kl_note` says over what the KL curves are averaged, with n. `narrow` is for a phone: the
    student's map and the curves, one below the other.
    """
    student_maps, row_kl = np.asarray(student_maps, dtype=np.float64), np.asarray(row_kl, dtype=np.float64)
    attention_kl = np.asarray(attention_kl, dtype=np.float64)
    kl_epochs = list(epochs if kl_epochs is None else kl_epochs)
    if not len(student_maps) == len(epochs) == len(steps) == len(row_kl):
        raise ValueError(
            f"expected one map, epoch, step and row KL a moment, got {len(student_maps)}, {len(epochs)}, "
            f"{len(steps)} and {len(row_kl)}"
        )
    active = min(max(active, 0), len(epochs) - 1)
    look, colour = theme(dark), strategy_style(strategy).colour
    names = NARROW if narrow else WIDE
    domains, height, margin = _narrow_grid(tokens) if narrow else _wide_grid(tokens)
    panels, number = Panels(domains, dark=dark), {name: place for place, name in enumerate(names, start=1)}
    zmax, texts = shared_maximum(teacher_map, student_maps), cell_texts(tokens)
    limit = max(0.01, float(np.nanmax(np.abs(student_maps - teacher_map))))
    kl_top = (0.0, 1.08 * float(max(attention_kl.max(), 1e-3)))
    known = [
        float(score)
        for score in [*scores, *([] if teacher_score is None else [teacher_score])]
        if score is not None
    ]
    score_range = (min(known) - 0.05, max(known) + 0.05) if known else (0.0, 1.0)
    moving_names = [name for name, panel in MOVING.items() if panel in names]

    def moving(moment: int) -> list[dict]:
        traces = {
            "student": attention_trace(
                student_maps[moment], texts, zmax=zmax, name="student", dark=dark, digits=3
            ),
            "difference": difference_trace(
                teacher_map, student_maps[moment], texts, dark=dark, limit=limit, digits=3
            ),
            "rows": row_kl_trace(row_kl[moment], tokens, dark=dark, digits=3),
            "kl cursor": _cursor(epochs[moment], kl_top, look.text),
            "score cursor": _cursor(epochs[moment], score_range, look.text),
        }
        return [traces[name] for name in moving_names]

    def headings(moment: int) -> list[dict]:
        count = f", n = {num_scored:,}" if num_scored else ""
        when = f"epoch {epochs[moment]:.2f}, step {steps[moment]:,}"
        lines = {
            "teacher": f"{badge(TEACHER_COLOUR)} <b>Teacher</b><br>{safe(teacher_title)}",
            "student": f"{badge(colour)} <b>Student</b>"
            + (
                f" · {safe(student_title)}<br>{when} · KL {row_kl[moment].mean():.3f} nats"
                if narrow
                else f"<br>{safe(student_title)}"
            ),
            "difference": f"<b>Teacher − student</b><br>{when}",
            "rows": f"<b>KL {row_kl[moment].mean():.3f}</b><br>nats",
            "kl": f"<b>Attention KL</b> of every pair · {safe(kl_note)}",
            "scores": f"<b>{safe(score_name)}</b>{count}" if known else "<b>No scores yet</b>",
        }
        return [
            heading_text(lines[name], x=left, y=top, dark=dark)
            for name, (left, _, _, top) in zip(names, panels.domains, strict=True)
        ]

    for name, trace in zip(moving_names, moving(active), strict=True):
        panels.add(trace, number[MOVING[name]])
    if not narrow:
        panels.add(attention_trace(teacher_map, texts, zmax=zmax, name="teacher", dark=dark, digits=3))
    for pair, (student_layer, teacher_layer) in enumerate(pairs):
        panels.add(
            _pair_curve(
                kl_epochs,
                attention_kl[:, pair],
                student_layer,
                teacher_layer,
                strategy,
                chosen=pair == chosen_pair,
                dark=dark,
            ),
            number["kl"],
        )
    panels.add(
        _pair_labels(
            kl_epochs, attention_kl, pairs, chosen_pair, gap=kl_top[1] * 15 / CURVE_PIXELS, dark=dark
        ),
        number["kl"],
    )
    for trace in _score_traces(scores, score_epochs, score_name, teacher_score, epochs, strategy):
        panels.add(trace, number["scores"])
    _map_axes(panels, number, tokens, zmax, limit, float(row_kl.max()))
    last = max([*epochs, *kl_epochs, *score_epochs])
    for name, room, title, span in (
        ("kl", 1.13, "nats", kl_top),
        ("scores", 1.13 if narrow else 1.04, "", score_range),
    ):
        panels.x_axis(
            number[name],
            title={"text": "epoch", "standoff": 4},
            range=[-0.02 * last, room * last],
            fixedrange=True,
        )
        panels.y_axis(number[name], title={"text": title}, range=list(span), fixedrange=True, nticks=5)
    frames = [
        {
            "name": str(moment),
            "data": [_only_moving(trace) for trace in moving(moment)],
            "traces": list(range(len(moving_names))),
            "layout": {"annotations": headings(moment)},
        }
        for moment in range(len(epochs))
    ]
    panels.notes = headings(active)
    bottom = -(44 / (height - margin["t"] - margin["b"]))
    controls = play_controls(
        [f"{epoch:.2f}" for epoch in epochs], active=active, dark=dark, prefix="epoch ", top=bottom, left=0.2
    )
    return panels.figure(
        height=height, margin=margin, showlegend=False, bargap=0.25, frames=frames, **controls
    )


def _map_axes(
    panels: Panels,
    number: dict[str, int],
    tokens: Sequence[str],
    zmax: float,
    limit: float,
    highest_kl: float,
) -> None:
    """Tokens along the maps, what the colours span below them, and the bars' axis beside them."""
    scales = {
        "teacher": f"colour 0 to {zmax:.2f}",
        "student": f"colour 0 to {zmax:.2f}",
        "difference": f"blue −{limit:.2f}, orange +{limit:.2f}",
    }
    maps = [name for name in scales if name in number]
    token_axes(panels, tokens, columns=len(maps))
    for name in maps:
        panels.x_axis(number[name], title={"text": f"key (looked at)<br>{scales[name]}"})
        panels.y_axis(number[name], showticklabels=number[name] == 1)
    if "rows" in number:
        row_bars_axis(panels, len(tokens), panel=number["rows"])
        panels.x_axis(number["rows"], range=[0, round(1.05 * max(highest_kl, 1e-3), 3)])


def _only_moving(trace: dict) -> dict:
    """The part of a trace that changes from frame to frame; the rest stays in the figure once."""
    moving = "z" if trace["type"] == "heatmap" else "x"
    return {"type": trace["type"], moving: trace[moving]}


def _cursor(epoch: float, span: tuple[float, float], colour: str) -> dict:
    return scatter(
        x=[epoch, epoch],
        y=list(span),
        mode="lines",
        name="moment shown",
        line={"color": colour, "width": 1.5},
        hoverinfo="skip",
    )


def _pair_curve(epochs, values, student_layer, teacher_layer, strategy, *, chosen: bool, dark: bool) -> dict:
    style, look = strategy_style(strategy), theme(dark)
    name = f"student layer {student_layer + 1} ↔ teacher layer {teacher_layer + 1}"
    return scatter(
        x=numbers(epochs, 3),
        y=numbers(values, 4),
        name=name,
        mode="lines",
        line={
            "color": style.colour if chosen else blend(style.colour, look.muted, 0.6),
            "width": 3 if chosen else 1.5,
            "dash": style.dash if chosen else "solid",
        },
        hovertemplate=f"{name}<br>epoch %{{x:.2f}}: %{{y:.3f}} nats<extra></extra>",
    )


def _pair_labels(epochs, attention_kl, pairs, chosen_pair: int, *, gap: float, dark: bool) -> dict:
    """The pairs' names at the right ends of their curves, pushed apart where curves meet."""
    look = theme(dark)
    return scatter(
        x=[float(max(epochs))] * len(pairs),
        y=numbers(spread(attention_kl[-1], gap), 4),
        mode="text",
        name="pairs",
        textposition="middle right",
        cliponaxis=False,
        text=[
            f" {'<b>' * (pair == chosen_pair)}{student + 1} ↔ {teacher + 1}{'</b>' * (pair == chosen_pair)}"
            for pair, (student, teacher) in enumerate(pairs)
        ],
        textfont={
            "size": SMALL,
            "color": [look.text if pair == chosen_pair else look.muted for pair in range(len(pairs))],
        },
        hoverinfo="skip",
    )


def _score_traces(scores, score_epochs, score_name, teacher_score, epochs, strategy) -> list[dict]:
    style, traces = strategy_style(strategy), []
    if len(scores):
        traces.append(
            scatter(
                x=numbers(score_epochs, 3),
                y=numbers(scores, 4),
                name="student",
                mode="lines+markers",
                line={"color": style.colour, "dash": style.dash, "width": 2},
                marker={"symbol": style.symbol, "size": 8},
                hovertemplate=f"student, epoch %{{x:.0f}}<br>{safe(score_name)} %{{y:.3f}}<extra></extra>",
            )
        )
    if teacher_score is not None:
        traces.append(
            scatter(
                x=[0, max([*epochs, *score_epochs])],
                y=[teacher_score] * 2,
                name="teacher",
                mode="lines+text",
                line={"color": TEACHER_COLOUR, "width": 2},
                text=["teacher", None],
                textposition="top right",
                hovertemplate=f"teacher {teacher_score:.3f}<extra></extra>",
            )
        )
    return traces


def _label_pixels(tokens: Sequence[str]) -> int:
    longest = min(LONGEST_LABEL, max((len(str(token)) for token in tokens), default=1))
    return max(30, longest * CHARACTER_PIXELS + 8) + 24


def _map_pixels(tokens: Sequence[str]) -> int:
    return max(270, len(tokens) * ROW_PIXELS)


def _wide_grid(tokens: Sequence[str]) -> tuple[list[Domain], int, dict]:
    """(domains of the panels, height, margin): maps and bars above, both charts below."""
    maps, between = _map_pixels(tokens), _label_pixels(tokens) + 58
    drawing = maps + between + CURVE_PIXELS
    upper = side_by_side([0.3, 0.3, 0.3, 0.1], spacing=0.022, bottom=(CURVE_PIXELS + between) / drawing)
    floor = CURVE_PIXELS / drawing
    margin = {"l": 70, "r": 24, "t": 52, "b": CONTROL_PIXELS + 36}
    room = 0.02  # for the numbers of the second chart's axis
    return (
        [*upper, (upper[0][0], upper[1][1] - room, 0.0, floor), (upper[2][0], upper[3][1], 0.0, floor)],
        drawing + margin["t"] + margin["b"],
        margin,
    )


def _narrow_grid(tokens: Sequence[str]) -> tuple[list[Domain], int, dict]:
    """The same with one map and both charts, one below the other."""
    maps, between, curve = _map_pixels(tokens), _label_pixels(tokens) + 58, CURVE_PIXELS - 40
    drawing = maps + between + 2 * curve + 74
    edges = [(drawing - maps, drawing), (curve + 74, 2 * curve + 74), (0, curve)]
    margin = {"l": 60, "r": 12, "t": 52, "b": CONTROL_PIXELS + 36}
    return (
        [(0.0, 1.0, low / drawing, high / drawing) for low, high in edges],
        drawing + margin["t"] + margin["b"],
        margin,
    )
