"""Students that are trained together: their score and how far they are inside, side by side, as they grow."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from kdviz.figures.base import legend_below, numbers, safe, scatter
from kdviz.figures.panels import Panels, side_by_side
from kdviz.palette import TEACHER_COLOUR, run_styles


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One student so far: its score at whole epochs, and its attention KL (nats, mean over the matched pairs)
    at moments of training, each over its epochs.
    """

    label: str
    strategy: str
    score_epochs: Sequence[float]
    scores: Sequence[float]
    kl_epochs: Sequence[float]
    attention_kl: Sequence[float]


def growth_curves(
    students: Sequence[Growth],
    *,
    score_name: str,
    scores_over: str,
    kl_over: str,
    last_epoch: float,
    teacher_score: float | None = None,
    dark: bool = False,
) -> go.Figure:
    """Score (left) with the teacher as a level line, and attention KL (right), a line for each student.

    `scores_over` and `kl_over` say what the numbers are means of, with n. The axes span the whole training
    (`last_epoch`) from the start, so that lines grow into them.
    """
    panels = Panels(side_by_side([1, 1], spacing=0.09), dark=dark)
    styles = run_styles([student.strategy for student in students])
    for student, style in zip(students, styles, strict=True):
        for column, epochs, values, what in (
            (1, student.score_epochs, student.scores, score_name),
            (2, student.kl_epochs, student.attention_kl, "attention KL"),
        ):
            panels.add(
                scatter(
                    x=numbers(epochs, 3),
                    y=numbers(values, 4),
                    mode="lines+markers",
                    name=safe(student.label, 40),
                    legendgroup=student.label,
                    showlegend=column == 1,
                    line={"color": style.colour, "dash": style.dash, "width": 2.5},
                    marker={"symbol": style.symbol, "size": 8},
                    hovertemplate=f"{safe(student.label)}<br>epoch %{{x:.2f}}: {safe(what)} %{{y:.3f}}"
                    f"{' nats' * (column == 2)}<extra></extra>",
                ),
                column,
            )
    if teacher_score is not None:
        panels.add(
            scatter(
                x=[0, last_epoch],
                y=numbers([teacher_score] * 2, 4),
                mode="lines",
                name=f"teacher {teacher_score:.3f}",
                line={"color": TEACHER_COLOUR, "width": 2.5},
                hovertemplate=f"teacher {teacher_score:.3f}<extra></extra>",
            )
        )
    panels.x_axis(title={"text": "epoch", "standoff": 6}, range=[-0.02 * last_epoch, 1.02 * last_epoch])
    panels.y_axis(2, title={"text": "nats"}, rangemode="tozero")
    panels.heading(f"<b>{safe(score_name)}</b> · {safe(scores_over)}")
    panels.heading(f"<b>Attention KL</b>, mean over layers · {safe(kl_over)}", panel=2)
    legend, legend_pixels = legend_below(
        len(students) + 1, longest_label=max((len(student.label) for student in students), default=14)
    )
    return panels.figure(height=320 + legend_pixels, margin={"t": 44, "b": 56 + legend_pixels}, legend=legend)
