"""Curves over training: mismatch of every matched pair, scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import plotly.graph_objects as go

from kdviz.figures.base import (
    CHARACTER_PIXELS,
    SMALL,
    legend_below,
    log_axis,
    numbers,
    numbers_of_examples,
    over_examples,
    safe,
    scatter,
)
from kdviz.figures.panels import Panels, axis_name, side_by_side
from kdviz.method.term import Term
from kdviz.method.terms import TERMS
from kdviz.palette import (
    DARK,
    LIGHT,
    TEACHER_COLOUR,
    Style,
    blend,
    run_styles,
    theme,
    transparent,
)

SMALLEST_DISTANCE = 1e-6
"""What a distance of 0 is drawn at on the logarithmic axis."""

STAGE_ROWS = 2

AXES = {"epoch": "epoch", "step": "training step", "progress": "share of the run"}

PANEL_PIXELS = 380
"""About what half a page leaves to a panel; stage names that would overlap at that width are left out."""

PAIR_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "star",
    "hexagon",
    "cross",
    "x",
    "hourglass",
    "bowtie",
)


@dataclass(frozen=True, kw_only=True)
class RunCurves:
    """The mismatch of one run over its m moments.

    `attention_kl` (m, pairs) in nats, `cls_distance` (m, pairs) 1 − cosine, `others` the further terms that
    were trained, by name in metrics.jsonl; `epochs` and `steps` (m,); `pairs` (student layer, teacher layer),
    0-based; `stages` (epoch at which it begins, short name). A moment at epoch 0 is the one before training.
    `over`: how many of what the numbers are means of, where it is not what the figure says of all;
    `planned_epochs`: of a run that ended before them, or has not ended.
    `style`: what the run wears where the figure lacks runs of its page; else as `run_styles` has it.
    """

    run_id: str
    label: str
    strategy: str
    epochs: Sequence[float]
    steps: Sequence[int]
    pairs: Sequence[tuple[int, int]]
    attention_kl: np.ndarray
    cls_distance: np.ndarray
    stages: Sequence[tuple[float, str]] = ()
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    over: tuple[int, str] | None = None
    planned_epochs: float | None = None
    style: Style | None = None

    def of(self, term: Term) -> np.ndarray | None:
        """(m, pairs) of a term, as an axis of its kind can show it; None where it was not measured."""
        known = {"attention_kl": self.attention_kl, "cls_distance": self.cls_distance, **self.others}
        if known.get(term.key) is None:
            return None
        values = np.asarray(known[term.key], dtype=float)
        if values.size and np.isnan(values).all():  # vectors of two widths have no angle
            return None
        return np.maximum(values, SMALLEST_DISTANCE) if term.is_logarithmic else values


@dataclass(frozen=True, kw_only=True)
class ScoreCurve:
    """One score of one run over its epochs, with a confidence interval where known (`low`, `high` of the same
    length); `num_examples` where it is over others than the rest of the figure; `style` as of `RunCurves`.
    """

    label: str
    strategy: str
    epochs: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    num_examples: int | None = None
    style: Style | None = None


def further_terms(lines: Sequence[Mapping], num_pairs: int) -> dict[str, np.ndarray]:
    """Terms beside the paper's own that all these lines of metrics.jsonl have in their mismatch: (lines,
    pairs) by name.
    """
    found = {}
    for term in TERMS.values():
        rows = [(line.get("mismatch") or {}).get(term.key) or () for line in lines]
        if not term.is_default and rows and all(len(row) == num_pairs for row in rows):
            found[term.key] = np.array(rows, dtype=float)
    return found


def pair_name(pair: tuple[int, int]) -> str:
    """ "student layer 1 ↔ teacher layer 2" from 0-based (student layer, teacher layer)."""
    return f"student layer {pair[0] + 1} ↔ teacher layer {pair[1] + 1}"


def layer_curves(
    runs: Sequence[RunCurves],
    *,
    over: str = "",
    axis: str = "epoch",
    shown_epoch: float | None = None,
    chosen_pair: int | None = None,
    dark: bool = False,
) -> go.Figure:
    """Attention KL (left), CLS distance (right, logarithmic) and whatever other terms were trained, of every
    matched pair, several runs overlaid.

    `over` says what the numbers are means of, with n ("200 evaluation examples"), unless the runs do. A run
    has its colour and dash; a pair its marker and shade, lower layers paler. Dotted lines: the value before
    training. Vertical lines: where the stages of the first run that has any begin; among several runs it is
    named. `axis` is "epoch", "step" or "progress" (share of the run). A click on a point returns customdata
    [run id, pair, step].
    """
    look = theme(dark)
    terms = [
        term
        for term in TERMS.values()
        if any(run.of(term) is not None for run in runs) or (term.is_default and not runs)
    ]
    panels = Panels(side_by_side([1] * len(terms), spacing=0.18 / len(terms)), dark=dark)
    styles = _worn(runs)
    for run, style in zip(runs, styles, strict=True):
        scale = _scale(run, axis)
        for pair, (column, term) in product(range(len(run.pairs)), enumerate(terms, start=1)):
            if (values := run.of(term)) is None:
                continue
            faded = chosen_pair is not None and pair != chosen_pair
            line = _pair_line(
                run, style, pair, values[:, pair], scale, term, faded=faded, several=len(runs) > 1, dark=dark
            )
            panels.add(line, column)
    starts = bool(runs) and len(runs[0].epochs) > 0 and not runs[0].epochs[0]
    if starts:
        _before_training(panels, terms, runs[0], styles[0], _scale(runs[0], axis))
    panels.x_axis(title={"text": AXES[axis], "standoff": 6}, tickformat=".0%" if axis == "progress" else None)
    for column, term in enumerate(terms, start=1):
        _name_panel(panels, column, term, runs)
    staged = next((run for run in runs if run.stages), None)
    of_stages = f"; stages: those of “{safe(staged.label, 40)}”" if staged and len(runs) > 1 else ""
    panels.heading(
        f"means over {safe(_over_all(runs) or over)}{'; dotted levels: before training' * starts}{of_stages}",
        shift=60,
        size=SMALL,
    )
    if staged:
        _stage_lines(panels, len(terms), staged, _scale(staged, axis))
    if shown_epoch is not None and runs:
        for column in range(1, len(terms) + 1):
            panels.vertical_line(
                shown_epoch * _scale(runs[0], axis), line={"color": look.text, "width": 1.5}, panel=column
            )
    longest = max((len(run.label) for run in runs), default=0) * (len(runs) > 1) + 14
    legend, legend_pixels = legend_below(sum(len(run.pairs) for run in runs) + 1, longest_label=longest)
    return panels.figure(height=382 + legend_pixels, margin={"t": 94, "b": 56 + legend_pixels}, legend=legend)


def _name_panel(panels: Panels, column: int, term: Term, runs: Sequence[RunCurves]) -> None:
    """What a panel of `layer_curves` shows, and in which unit."""
    title = f"{term.title} ({term.unit})"
    panels.heading(f"<b>{term.title}</b>", panel=column, shift=36)
    if term.is_logarithmic:
        panels.y_axis(column, title={"text": f"{title}, log scale"}, **log_axis(_seen(runs, term)))
    else:
        panels.y_axis(column, title={"text": title}, rangemode="tozero")


def score_curves(
    runs: Sequence[ScoreCurve],
    *,
    score_name: str,
    num_examples: int,
    teacher_score: float | None = None,
    majority: float | None = None,
    shown_epoch: float | None = None,
    dark: bool = False,
) -> go.Figure:
    """A score over epochs: a line a run with its interval as a band, the teacher as a level line, the
    majority class as a dotted one.
    """
    panels, look = Panels(dark=dark), theme(dark)
    last = max((float(epoch) for run in runs for epoch in run.epochs), default=1.0)
    all_n: list[int] = []
    for run, style in zip(runs, _worn(runs), strict=True):
        if run.low is not None and run.high is not None:
            panels.add(
                scatter(
                    x=numbers([*run.epochs, *reversed(run.epochs)], 3),
                    y=numbers([*run.high, *reversed(run.low)], 4),
                    fill="toself",
                    mode="lines",
                    fillcolor=transparent(style.colour, 0.15),
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=run.label,
                    name=f"{run.label} interval",
                )
            )
        own_n = num_examples if run.num_examples is None else run.num_examples
        all_n.append(own_n)
        panels.add(
            scatter(
                x=numbers(run.epochs, 3),
                y=numbers(run.values, 4),
                mode="lines+markers",
                name=safe(run.label, 40),
                legendgroup=run.label,
                line={"color": style.colour, "dash": style.dash, "width": 2.5},
                marker={"symbol": style.symbol, "size": 9},
                hovertemplate=f"{safe(run.label)}<br>epoch %{{x:.2f}}: {safe(score_name)} %{{y:.3f}} (n = "
                f"{own_n:,})<extra></extra>",
            )
        )
    for level, name, line in (
        (teacher_score, "teacher", {"color": TEACHER_COLOUR, "width": 2.5}),
        (majority, "majority class", {"color": look.muted, "width": 1.5, "dash": "dot"}),
    ):
        if level is not None:
            panels.add(
                scatter(
                    x=[0, last],
                    y=numbers([level] * 2, 4),
                    mode="lines",
                    name=f"{name} {level:.3f}",
                    line=line,
                    hovertemplate=f"{name} {level:.3f}<extra></extra>",
                )
            )
    panels.x_axis(title={"text": "epoch", "standoff": 6})
    panels.heading(f"<b>{safe(score_name)}</b> · n = {over_examples(all_n or [num_examples])}")
    if shown_epoch is not None:
        panels.vertical_line(shown_epoch, line={"color": look.text, "width": 1.5})
    legend, legend_pixels = legend_below(
        len(runs) + 2, longest_label=max((len(run.label) for run in runs), default=14)
    )
    return panels.figure(height=320 + legend_pixels, margin={"t": 44, "b": 56 + legend_pixels}, legend=legend)


def _worn(runs: Sequence[RunCurves] | Sequence[ScoreCurve]) -> list[Style]:
    """The style of each run."""
    natural = run_styles([run.strategy for run in runs])
    return [run.style or style for run, style in zip(runs, natural, strict=True)]


def _scale(run: RunCurves, axis: str) -> float:
    """What an epoch of this run is multiplied by on the x axis: 1, steps an epoch, or 1 / epochs, of those
    planned where it has not come to all of them.
    """
    last = max(run.epochs, default=0) or 1.0
    whole = max(last, run.planned_epochs or 0)
    return {"epoch": 1.0, "step": max(run.steps, default=0) / last, "progress": 1.0 / whole}[axis]


def _seen(runs: Sequence[RunCurves], term: Term) -> np.ndarray:
    """All values of a term that can be drawn; where there are none, what an empty axis shows."""
    values = [np.ravel(found) for run in runs if (found := run.of(term)) is not None]
    found = np.concatenate(values) if values else np.empty(0)
    finite = found[np.isfinite(found)]
    return finite if finite.size else np.array([SMALLEST_DISTANCE, 1.0])


def _over_all(runs: Sequence[RunCurves]) -> str:
    """What the runs' numbers are means of: 1,043 and 400 evaluation examples and 12 presets."""
    found: dict[str, list[int]] = {}
    for number, what in (run.over for run in runs if run.over):
        found.setdefault(what, []).append(number)
    return " and ".join(
        f"{numbers_of_examples(each)} {what.removesuffix('s') if set(each) == {1} else what}"
        for what, each in found.items()
    )


def pair_shade(style: Style, pair: int, num_pairs: int, dark: bool) -> str:
    """Lower layers paler, in both themes, by at most 60 %."""
    return blend(style.colour, DARK.text if dark else LIGHT.background, 0.6 * (1 - (pair + 1) / num_pairs))


def _pair_line(
    run: RunCurves,
    style: Style,
    pair: int,
    values: np.ndarray,
    scale: float,
    term: Term,
    *,
    faded: bool,
    several: bool,
    dark: bool,
) -> dict:
    student_layer, teacher_layer = run.pairs[pair]
    short = f"layer {student_layer + 1} ↔ {teacher_layer + 1}"
    unit = term.unit if term.unit.isalpha() else f"({term.unit})"
    return scatter(
        x=numbers(np.asarray(run.epochs) * scale, 4),
        y=numbers(values, 6),
        mode="lines+markers",
        opacity=0.45 if faded else 1.0,
        name=f"{safe(run.label, 40)} · {short}" if several else short,
        legendgroup=f"{run.run_id}/{pair}",
        showlegend=term.key == "attention_kl",
        line={"color": pair_shade(style, pair, len(run.pairs), dark), "dash": style.dash, "width": 2},
        marker={"symbol": PAIR_SYMBOLS[pair % len(PAIR_SYMBOLS)], "size": 8},
        customdata=[[run.run_id, pair, int(step)] for step in run.steps],
        text=[f"epoch {epoch:.2f}, step {step}" for epoch, step in zip(run.epochs, run.steps, strict=True)],
        hovertemplate=f"{safe(run.label)}<br>{pair_name(run.pairs[pair])}<br>%{{text}}: {term.title} "
        f"%{{y:.4f}} {unit}{f', mean over {_over_all([run])}' if run.over else ''}<extra></extra>",
    )


def _before_training(
    panels: Panels, terms: Sequence[Term], run: RunCurves, style: Style, scale: float
) -> None:
    """Dotted levels at the values of the first moment, one legend entry for all."""
    end = max(run.epochs) * scale
    for column, term in enumerate(terms, start=1):
        values = run.of(term)
        if values is None:
            continue
        for pair in range(len(run.pairs)):
            panels.add(
                scatter(
                    x=[0, round(end, 4)],
                    y=numbers([values[0, pair]] * 2, 6),
                    mode="lines",
                    name="before training",
                    legendgroup="before training",
                    showlegend=column == 1 and pair == 0,
                    hoverinfo="skip",
                    opacity=0.8,
                    line={
                        "color": pair_shade(style, pair, len(run.pairs), panels.dark),
                        "width": 1,
                        "dash": "dot",
                    },
                ),
                column,
            )


def _stage_lines(panels: Panels, num_panels: int, run: RunCurves, scale: float) -> None:
    """A vertical line where a stage begins, its name above the panel: on a second line, or left out, where
    names would overlap.
    """
    look = theme(panels.dark)
    span, free_from = max(run.epochs, default=1.0) or 1.0, [0.0] * STAGE_ROWS
    for begin, name in run.stages:
        name = safe(name, 22)
        line = next((line for line in range(STAGE_ROWS) if free_from[line] <= begin), None)
        if line is not None:
            free_from[line] = begin + span * (len(name) + 1) * CHARACTER_PIXELS / PANEL_PIXELS
        for column in range(1, num_panels + 1):
            panels.vertical_line(
                begin * scale, line={"color": look.muted, "width": 1, "dash": "dot"}, panel=column
            )
            if line is None:
                continue
            panels.note(
                text=name,
                x=begin * scale,
                y=1,
                xref=axis_name("x", column),
                yref=axis_name("y", column) + " domain",
                xanchor="left",
                yanchor="bottom",
                yshift=2 + 14 * line,
                showarrow=False,
                font={"size": SMALL, "color": look.muted},
            )
