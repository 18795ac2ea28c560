"""Who is wrong where: teacher and student right and wrong, and what they get right by phenomenon."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from kdviz.analysis.answers import RightWrong
from kdviz.figures.base import badge, click_layer, heatmap, numbers, safe, scatter
from kdviz.figures.panels import Panels, side_by_side
from kdviz.palette import TEACHER_COLOUR, Style, colour_scale, run_styles, theme

CELL_NAMES = (
    ("both right", "lost: only the teacher is right"),
    ("gained: only the student is right", "both wrong"),
)


def right_wrong_table(
    tables: Sequence[tuple[str, str, RightWrong]],
    *,
    styles: Sequence[Style] | None = None,
    chosen: tuple[int, int, int] | None = None,
    dark: bool = False,
) -> go.Figure:
    """Teacher right/wrong × student right/wrong, one table a run, side by side.

    `tables`: (label, strategy, RightWrong). Under each: the share of the teacher's right answers kept and of
    its mistakes repeated. `chosen` and a click's customdata: [run number, teacher wrong (0 or 1), student
    wrong (0 or 1)]. `styles`: what the runs wear, where these are not all runs of the page; else as
    `run_styles` has it.
    """
    styles = styles or run_styles([strategy for _, strategy, _ in tables])
    panels = Panels(side_by_side([1] * len(tables), spacing=0.1), dark=dark)
    plain = {"tickvals": [0, 1], "showgrid": False, "showline": False, "fixedrange": True}
    for column, ((label, _, table), style) in enumerate(zip(tables, styles, strict=True), start=1):
        here = chosen[1:] if chosen and chosen[0] == column - 1 else None
        _cells(panels, column, label, table, chosen=here, dark=dark)
        panels.x_axis(column, ticktext=["student right", "student wrong"], range=[-0.5, 1.5], **plain)
        panels.y_axis(
            column,
            ticktext=["teacher right", "teacher wrong"],
            range=[1.5, -0.5],
            showticklabels=column == 1,
            **plain,
        )
        panels.heading(
            f"{badge(style.colour)} <b>{safe(label, 40)}</b> · n = {table.num_examples:,}"
            + (f", {table.unanswered:,} without an answer" if table.unanswered else ""),
            panel=column,
        )
        for line, shift in (
            (_share("keeps", table.kept_right, table.counts[0], "right answers"), -72),
            (_share("repeats", table.repeated_mistakes, table.counts[1], "mistakes"), -114),
        ):
            panels.heading(line, panel=column, y=0, shift=shift)
    return panels.figure(height=400, margin={"l": 120, "t": 44, "b": 126}, showlegend=False)


def _cells(
    panels: Panels,
    column: int,
    label: str,
    table: RightWrong,
    *,
    chosen: tuple[int, int] | None,
    dark: bool,
) -> None:
    """The four cells of one run: their shares as shades and numbers, each with a frame, and to be clicked."""
    look, counts, total = theme(dark), table.counts, max(1, table.num_examples)
    cells = [(t, s) for t in (0, 1) for s in (0, 1)]
    panels.add(
        heatmap(
            z=numbers(counts / total),
            zmin=0,
            zmax=1,
            colorscale=colour_scale(look.sequential[:4]),
            showscale=False,
            xgap=3,
            ygap=3,
            hoverinfo="skip",
            text=[
                [
                    f"<b>{counts[t, s]:,}</b><br>{counts[t, s] / total:.1%}<br>"
                    f"{CELL_NAMES[t][s].split(':')[0]}"
                    for s in (0, 1)
                ]
                for t in (0, 1)
            ],
            texttemplate="%{text}",
            textfont={"size": 15, "color": look.text},
        ),
        column,
    )
    for t, s in cells:
        strong = chosen == (t, s)
        panels.frame(
            s,
            t,
            0.48,
            half_height=0.47,
            line={"color": look.text if strong else look.grid, "width": 3 if strong else 1},
            panel=column,
        )
    panels.add(
        click_layer(
            [s for _, s in cells],
            [t for t, _ in cells],
            [[column - 1, t, s] for t, s in cells],
            [
                f"{safe(label)}<br>{CELL_NAMES[t][s]}<br>{counts[t, s]:,} of {table.num_examples:,} examples"
                for t, s in cells
            ],
            name="cells",
            size=60,
        ),
        column,
    )


def phenomenon_dots(
    phenomena: Sequence[str],
    num_examples: Sequence[int],
    teacher_accuracy: Sequence[float],
    students: Sequence[tuple[str, str, Sequence[float]]],
    *,
    dark: bool = False,
) -> go.Figure:
    """Accuracy by phenomenon: the teacher and one or more students, (label, strategy, accuracies), on one
    line each. Click: [phenomenon].
    """
    look = theme(dark)
    names = [f"{safe(name, 34)} (n = {count:,})" for name, count in zip(phenomena, num_examples, strict=True)]
    rows = list(range(len(names)))
    panels = Panels(dark=dark)
    for row in rows:
        ends = [teacher_accuracy[row], *(accuracies[row] for _, _, accuracies in students)]
        panels.add(
            scatter(
                x=[min(ends), max(ends)],
                y=[row, row],
                mode="lines",
                line={"color": look.grid, "width": 3},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    styles = run_styles([strategy for _, strategy, _ in students])
    models = [("teacher", Style(colour=TEACHER_COLOUR, dash="solid", symbol="line-ns"), teacher_accuracy)]
    models += [
        (label, style, accuracies) for (label, _, accuracies), style in zip(students, styles, strict=True)
    ]
    for label, style, accuracies in models:
        panels.add(
            scatter(
                x=numbers(accuracies, 4),
                y=rows,
                mode="markers",
                name=safe(label, 40),
                customdata=[[name] for name in phenomena],
                marker={
                    "symbol": style.symbol,
                    "size": 16 if label == "teacher" else 12,
                    "color": style.colour,
                    "line": {"color": style.colour, "width": 4 if label == "teacher" else 0},
                },
                text=names,
                hovertemplate=f"{safe(label)}<br>%{{text}}<br>accuracy %{{x:.3f}}<extra></extra>",
            )
        )
    lowest = min(
        [*teacher_accuracy, *(value for _, _, accuracies in students for value in accuracies)], default=0.05
    )
    panels.x_axis(
        title={"text": "accuracy", "standoff": 6}, range=[min(lowest - 0.05, 0.5), 1.03], tickformat=".0%"
    )
    panels.y_axis(tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], showgrid=False)
    panels.heading("<b>Accuracy by phenomenon</b>")
    legend = {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}
    return panels.figure(
        height=130 + 30 * max(2, len(rows)), margin={"l": 60, "t": 40, "b": 84}, legend=legend
    )


def _share(verb: str, share: float | None, counts: np.ndarray, what: str) -> str:
    total = int(counts.sum())
    if share is None:
        return f"the teacher has no {what} here"
    return f"{verb} <b>{share:.1%}</b> of the teacher's<br>{what} ({round(share * total):,} of {total:,})"
