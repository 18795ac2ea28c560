"""A study's curves: a number over what the study varies, one line a strategy, with the interval as a band."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from kdviz.figures.base import legend_below, numbers, safe, scatter
from kdviz.figures.panels import Panels
from kdviz.palette import TEACHER_COLOUR, Style, run_styles, transparent

BAND_OPACITY = 0.16


@dataclass(frozen=True, kw_only=True)
class Band:
    """One line: means over seeds at increasing `x`; `low`, `high` their interval or None."""

    label: str
    strategy: str
    x: Sequence[float]
    means: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]


def band_curves(
    bands: Sequence[Band],
    *,
    x_name: str,
    y_name: str,
    logarithmic: bool = False,
    teacher: float | None = None,
    dark: bool = False,
) -> go.Figure:
    """Lines with bands; `logarithmic` spaces the x axis by factors. The teacher's score is a dotted line."""
    panels = Panels(dark=dark)
    teachers = Style(colour=TEACHER_COLOUR, dash="solid", symbol="star")
    own = iter(run_styles([band.strategy for band in bands if band.strategy != "teacher"]))
    styles = [teachers if band.strategy == "teacher" else next(own) for band in bands]
    for band, style in zip(bands, styles, strict=True):
        if len(band.x) > 1 and all(low is not None for low in band.low):
            panels.add(
                scatter(
                    x=[*band.x, *reversed(band.x)],
                    y=numbers([*band.high, *reversed(band.low)]),
                    fill="toself",
                    fillcolor=transparent(style.colour, BAND_OPACITY),
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
    for band, style in zip(bands, styles, strict=True):
        panels.add(
            scatter(
                x=list(band.x),
                y=numbers(band.means),
                name=safe(band.label, 40),
                mode="lines+markers",
                line={"color": style.colour, "dash": style.dash, "width": 2.5},
                marker={"symbol": style.symbol, "size": 10, "color": style.colour},
                text=[_interval(*ends) for ends in zip(band.low, band.high, strict=True)],
                hovertemplate=f"{safe(band.label)}<br>{safe(x_name)} %{{x:,}}<br>{safe(y_name)} %{{y:.3f}}"
                "%{text}<extra></extra>",
            )
        )
    ticks = sorted({x for band in bands for x in band.x})
    axis = {"tickvals": ticks, "ticktext": [f"{x:,g}" if x < 1e4 else f"{x / 1000:,g} K" for x in ticks]}
    panels.x_axis(
        title={"text": safe(x_name), "standoff": 6}, type="log" if logarithmic else "linear", **axis
    )
    panels.y_axis(title={"text": safe(y_name)})
    if teacher is not None:
        panels.level(teacher, line={"color": TEACHER_COLOUR, "width": 2, "dash": "dot"}, layer="below")
    has_interval = any(low is not None for band in bands for low in band.low)
    of_seeds = "mean and 95 % interval over the seeds" if has_interval else "of one seed"
    panels.heading(f"<b>{safe(y_name)}</b>, {of_seeds}")
    legend, legend_pixels = legend_below(
        len(bands), longest_label=max((len(band.label) for band in bands), default=8)
    )
    return panels.figure(
        height=360 + legend_pixels, margin={"t": 44, "b": 56 + legend_pixels}, legend=legend, showlegend=True
    )


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"<br>interval {low:.3f} to {high:.3f}"
