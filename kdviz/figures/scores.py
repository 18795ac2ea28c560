"""Scores with intervals, and score against size."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from kdviz.figures.base import SMALL, legend_below, numbers, over_examples, safe, scatter
from kdviz.figures.panels import Panels
from kdviz.palette import TEACHER_COLOUR, Style, run_styles, theme

NEAR = 0.1
"""Half of what a number takes of a phone's axis."""
SHORT_NAMES = {"baseline": "most frequent answer"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One model's score. `strategy` is a strategy, "teacher" or "baseline"; `low` and `high` bound the
    confidence interval where known; `num_examples` where it is over others than the rest of the figure.
    `style`: what the run wears where the figure lacks runs of its page; else as `run_styles` has it.
    """

    label: str
    strategy: str
    value: float
    low: float | None = None
    high: float | None = None
    parameters: int | None = None
    num_layers: int | None = None
    milliseconds: float | None = None
    num_examples: int | None = None
    style: Style | None = None


def scores_with_intervals(
    scores: Sequence[Score],
    *,
    score_name: str,
    num_examples: int,
    interval: str = "95 % interval",
    longest_label: int = 34,
    dark: bool = False,
) -> go.Figure:
    """One row a model: the score as a marker, its interval as a bar, the teacher as a line through all rows.
    `interval` names it; labels are cut after `longest_label` characters.
    """
    natural = _styles([score.strategy for score in scores], dark)
    styles = [score.style or style for score, style in zip(scores, natural, strict=True)]
    rows = list(range(len(scores)))
    has_bar = any(score.low is not None for score in scores)
    teacher = next((score for score in scores if score.strategy == "teacher"), None)
    low, high = _range(scores)
    panels = Panels(dark=dark)
    for row, score, style in zip(rows, scores, styles, strict=True):
        panels.add(
            scatter(
                x=[round(score.value, 5)],
                y=[row],
                mode="markers+text",
                name=safe(score.label, 40),
                cliponaxis=False,
                text=[f"{score.value:.3f}"],
                textposition=_clear_of_line(score, teacher, NEAR * (high - low)),
                textfont={"size": 14},
                marker={"symbol": style.symbol, "size": 14, "color": style.colour},
                error_x=_error(score, style),
                hovertemplate=_words(score, score_name, num_examples),
            )
        )
    panels.y_axis(
        tickvals=rows,
        ticktext=[safe(score.label, longest_label) for score in scores],
        range=[len(rows) - 0.4, -0.7],
        showgrid=False,
        fixedrange=True,
    )
    panels.x_axis(
        title={"text": f"{safe(score_name)}{f' (bar: {safe(interval)})' if has_bar else ''}", "standoff": 6},
        range=[low, high],
    )
    if teacher is not None:
        panels.vertical_line(teacher.value, line={"color": TEACHER_COLOUR, "width": 2}, layer="below")
    panels.heading(f"<b>{safe(score_name)}</b> · n = {_over(scores, num_examples)}")
    return panels.figure(height=120 + 46 * max(1, len(rows)), margin={"t": 44, "b": 54}, showlegend=False)


def _clear_of_line(score: Score, teacher: Score | None, near: float) -> str:
    """Where a score's number stands: over its mark, or beside it, clear of the teacher's line."""
    if teacher is None or abs(score.value - teacher.value) > near:
        return "top center"
    return "top right" if score.value >= teacher.value else "top left"


def score_against_parameters(
    scores: Sequence[Score], *, score_name: str, num_examples: int, dark: bool = False
) -> go.Figure:
    """Score (with interval) against millions of parameters; models without a known size are left out.

    A strategy has its colour and marker at every size, told by the legend; models of one size stand one over
    the other at that size, under their number of layers: the marker of the highest is the smallest, so that
    equal scores show as rings. Further runs of one strategy and size take a spare style at every size.
    """
    scores = [score for score in scores if score.parameters]
    sizes = sorted({score.parameters for score in scores}) or [1_000_000]
    kinds = _kinds(scores)
    each_once = list(dict.fromkeys(kinds))
    worn = dict(zip(each_once, _styles([strategy for strategy, _ in each_once], dark), strict=True))
    panels = Panels(dark=dark)
    for size in sizes:
        group = [
            (score, worn[kind]) for score, kind in zip(scores, kinds, strict=True) if score.parameters == size
        ]
        for place, (score, style) in enumerate(group):
            panels.add(
                scatter(
                    x=[round(size / 1e6, 4)],
                    y=[round(score.value, 5)],
                    mode="markers",
                    name=safe(score.label, 40),
                    showlegend=False,
                    marker={
                        "symbol": style.symbol,
                        "size": 11 + 4 * (len(group) - 1 - place),
                        "color": style.colour,
                        "line": {"color": theme(dark).background, "width": 1},
                    },
                    error_y=_error(score, style) and _error(score, style) | {"width": 6 + 5 * place},
                    hovertemplate=_words(score, score_name, num_examples),
                )
            )
        _layers_above(panels, size, [score for score, _ in group])
    named = {kind: _kind_name(kind, scores, kinds) for kind in each_once}
    for kind, name in named.items():
        style = worn[kind]
        panels.add(
            scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=safe(name, 40),
                hoverinfo="skip",
                marker={"symbol": style.symbol, "size": 11, "color": style.colour},
            )
        )
    panels.x_axis(
        title={"text": "parameters (millions, embeddings included)", "standoff": 6},
        range=[0.85 * sizes[0] / 1e6, (1.06 * sizes[-1] - 0.02 * sizes[0]) / 1e6],
    )
    panels.y_axis(title={"text": safe(score_name)}, range=_range(scores))
    teacher = next((score for score in scores if score.strategy == "teacher"), None)
    if teacher is not None:
        panels.level(teacher.value, line={"color": TEACHER_COLOUR, "width": 2, "dash": "dot"}, layer="below")
    panels.heading(
        f"<b>{safe(score_name)} against size</b> · n = {_over(scores, num_examples)}",
        shift=26,
    )
    legend, legend_pixels = legend_below(
        len(named), longest_label=max((len(name) for name in named.values()), default=8)
    )
    return panels.figure(
        height=400 + legend_pixels, margin={"t": 62, "b": 56 + legend_pixels}, legend=legend, showlegend=True
    )


def _layers_above(panels: Panels, size: int, group: Sequence[Score]) -> None:
    """The number of layers over the models of one size; "layers" before the first."""
    depths = {score.num_layers for score in group} - {None}
    place = {
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 4,
        "showarrow": False,
        "font": {"size": SMALL, "color": theme(panels.dark).muted},
    }
    if len(depths) != 1:
        return
    if not panels.notes:
        panels.note(text="layers:", x=0, xref="paper", xanchor="left", **place)
    panels.note(text=f"<b>{depths.pop()}</b>", x=size / 1e6, xref="x", xanchor="center", **place)


def _kinds(scores: Sequence[Score]) -> list[tuple[str, int]]:
    """Of each score its strategy, and how many of that strategy and size stand before it."""
    before: Counter[tuple] = Counter()
    kinds = []
    for score in scores:
        kinds.append((score.strategy, before[score.strategy, score.parameters]))
        before[score.strategy, score.parameters] += 1
    return kinds


def _kind_name(kind: tuple[str, int], scores: Sequence[Score], kinds: Sequence[tuple[str, int]]) -> str:
    """The strategy; a further run's own name, or its number where there are such at several sizes."""
    strategy, place = kind
    if not place:
        return SHORT_NAMES.get(strategy, strategy)
    labels = {score.label for score, each in zip(scores, kinds, strict=True) if each == kind}
    return labels.pop() if len(labels) == 1 else f"{strategy}, run {place + 1}"


def _over(scores: Sequence[Score], num_examples: int) -> str:
    return over_examples([_own_n(score, num_examples) for score in scores] or [num_examples])


def _own_n(score: Score, num_examples: int) -> int:
    return num_examples if score.num_examples is None else score.num_examples


def _styles(strategies: Sequence[str], dark: bool) -> list[Style]:
    named = {
        "teacher": Style(colour=TEACHER_COLOUR, dash="solid", symbol="star"),
        "baseline": Style(colour=theme(dark).muted, dash="dot", symbol="circle-open"),
    }
    runs = iter(run_styles([strategy for strategy in strategies if strategy not in named]))
    return [named.get(strategy) or next(runs) for strategy in strategies]


def _error(score: Score, style: Style) -> dict | None:
    if score.low is None or score.high is None:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": numbers([max(0.0, score.high - score.value)]),
        "arrayminus": numbers([max(0.0, score.value - score.low)]),
        "color": style.colour,
        "thickness": 3,
        "width": 6,
    }


def _words(score: Score, score_name: str, num_examples: int) -> str:
    words = f"{safe(score.label)}<br>{safe(score_name)} {score.value:.3f}"
    words += f" (n = {_own_n(score, num_examples):,})"
    if score.low is not None and score.high is not None:
        words += f"<br>interval {score.low:.3f} to {score.high:.3f}"
    if score.parameters:
        words += f"<br>{score.parameters / 1e6:.2f} million parameters"
    if score.milliseconds is not None:
        words += f"<br>{score.milliseconds:.1f} ms a sentence"
    return words + "<extra></extra>"


def _range(scores: Sequence[Score]) -> list[float]:
    """Room for every interval and a little air; scores need not start at 0, differences would drown."""
    ends = [end for score in scores for end in (score.value, score.low, score.high) if end is not None] or [
        0.0,
        1.0,
    ]
    air = max(0.02, 0.12 * (max(ends) - min(ends)))
    return [min(ends) - air, max(ends) + air]
