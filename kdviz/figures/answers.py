"""Answers: same answer, different inside."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from kdviz.analysis.answers import Inside, farther
from kdviz.figures.base import SMALL, log_axis, numbers, safe, scatter
from kdviz.figures.panels import Panels, side_by_side
from kdviz.palette import Style, run_styles, theme, transparent
from kdviz.text import times_text

SMALLEST = 1e-6
"""What a KL of 0 is drawn at on the logarithmic axes, in nats; hovering shows the true value."""

MOST_DOTS = 3_000
"""Of more examples than this a sample is drawn: more dots hide each other, and a file of them is too large to
mail. Every number and every spread is over all examples.
"""


def inside_scatter(
    runs: Sequence[tuple[str, str, Inside]],
    *,
    styles: Sequence[Style] | None = None,
    chosen: int | None = None,
    titles: Sequence[str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """Same answer, different inside: one point an example, output KL (x) against attention KL (y), for one
    run or two.

    `runs`: (label, strategy, Inside), say soft-only first and an internal one second. Filled: gives the
    teacher's answer; hollow: does not. Thin lines join an example's two points; large crosses are the medians
    over the examples on which every run gives the teacher's answer; the strip on the right shows how each
    cloud spreads in attention KL. `chosen` (example index) is ringed. A click returns customdata [run number,
    example index]. Of more than MOST_DOTS examples a sample is drawn, the same in both runs.

    `titles`: the presets by their index, where they stand in for examples. `styles`: what the runs wear,
    where their order here is not that of the page; else as `run_styles` has it.
    """
    look, styles = theme(dark), styles or run_styles([strategy for _, strategy, _ in runs])
    what = "examples" if titles is None else "presets"
    panels = Panels(side_by_side([0.87, 0.13], spacing=0.01), shared_y=True, dark=dark)
    shared = _agreed_by_all([run for _, _, run in runs])
    points = [
        (np.maximum(run.output_kl, SMALLEST), np.maximum(run.attention_kl, SMALLEST)) for _, _, run in runs
    ]
    sample = _sample([run for _, _, run in runs])
    places = [np.flatnonzero(np.isin(run.index, sample)) for _, _, run in runs]
    if len(runs) == 2:
        panels.add(
            _falls(runs[0][2], runs[1][2], points, np.intersect1d(shared, sample), look.muted, what[:-1])
        )
    for number, ((label, _, run), style, (x, y)) in enumerate(zip(runs, styles, points, strict=True)):
        panels.add(_cloud(number, safe(label, 40), run, style, x, y, places[number], titles))
        panels.add(_spread(y, style, label), 2)
    medians = []
    for (label, _, run), (x, y) in zip(runs, points, strict=True):
        members = np.isin(run.index, shared)
        if members.any():
            medians.append((float(np.median(x[members])), float(np.median(y[members]))))
            panels.add(_median(safe(label, 40), medians[-1], look.text))
    _explain_symbols(panels, look.muted)
    if chosen is not None:
        _ring(panels, [run for _, _, run in runs], points, chosen, look.text)
    _name_axes(panels, *(np.concatenate(each) for each in zip(*points, strict=True)))
    if len(medians) == 2:
        _arrow(panels, medians, look.text)
    for text, shift, size in zip(
        _story(runs, shared, len(sample), what), (44, 4), (16, SMALL + 1), strict=True
    ):
        panels.heading(text, shift=shift, size=size)
    legend = {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}
    return panels.figure(height=560, margin={"t": 92, "b": 96, "r": 12}, legend=legend)


def _explain_symbols(panels: Panels, colour: str) -> None:
    """Entries of the legend alone, for the symbols that every run has."""
    for symbol, name in (("circle-open", "not the teacher's answer"), ("cross-open", "median")):
        panels.add(
            scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=name,
                hoverinfo="skip",
                marker={"symbol": symbol, "size": 11, "color": colour},
            )
        )


def _name_axes(panels: Panels, every_x: np.ndarray, every_y: np.ndarray) -> None:
    panels.x_axis(
        1,
        title={"text": "output KL (nats): how far the answer is from the teacher's", "standoff": 6},
        **log_axis(every_x),
    )
    panels.y_axis(1, title={"text": "attention KL (nats): how far the inside is"}, **log_axis(every_y))
    panels.x_axis(
        2,
        showticklabels=False,
        showgrid=False,
        showline=False,
        rangemode="tozero",
        title={"text": "spread", "standoff": 6},
    )
    panels.y_axis(2, **log_axis(every_y) | {"showline": False, "showticklabels": False})


def _agreed_by_all(runs: Sequence[Inside]) -> np.ndarray:
    shared = runs[0].index[runs[0].agrees]
    for run in runs[1:]:
        shared = np.intersect1d(shared, run.index[run.agrees])
    return shared


def _sample(runs: Sequence[Inside]) -> np.ndarray:
    """The examples (by index, sorted) that are drawn: all, or MOST_DOTS of them, always the same ones."""
    every = np.unique(np.concatenate([run.index for run in runs]))
    if len(every) <= MOST_DOTS:
        return every
    return np.sort(np.random.default_rng(0).choice(every, MOST_DOTS, replace=False))


def _story(
    runs: Sequence[tuple[str, str, Inside]], shared: np.ndarray, num_drawn: int, what: str
) -> tuple[str, str]:
    """The claim in one sentence, with the numbers it rests on."""
    total = len(runs[0][2].index)
    values = [
        float(np.median(run.attention_kl[np.isin(run.index, shared)])) if len(shared) else math.nan
        for _, _, run in runs
    ]
    drawn = f" (dots: a random {num_drawn:,} of all)" if total > num_drawn else ""
    base = (
        f"median attention KL over the {len(shared):,} of {total:,} {what} with the teacher's answer"
        f"{drawn}:<br>"
    )
    base += ", ".join(
        f"“{safe(label, 30)}” {value:.3f} nats" for (label, _, _), value in zip(runs, values, strict=True)
    )
    if not len(shared):
        none = f"<b>None of these {what} has the teacher's answer from all</b>"
        return none, f"n = {total:,} {what}{drawn}"
    found = farther(runs[0][2], runs[1][2]) if len(runs) == 2 else None
    if found is None:
        return f"<b>Outside and inside, {what[:-1]} by {what[:-1]}</b>", base
    base += f"; ratio {found.times:.2f} [{found.low:.2f}, {found.high:.2f}]"
    if found.is_told_apart:
        return (
            f"<b>Same answer. Inside, “{safe(runs[found.place][0], 30)}” is {times_text(found.times)} times "
            "as far from the teacher.</b>",
            base,
        )
    return f"<b>Same answer, and inside these {what} do not tell the two apart.</b>", base


def _cloud(
    number: int,
    label: str,
    run: Inside,
    style: Style,
    x: np.ndarray,
    y: np.ndarray,
    places: np.ndarray,
    titles: Sequence[str] | None,
) -> dict:
    """The dots of one run at `places` of its arrays; of a sample they hover their numbers alone."""
    hollow = style.symbol + "-open" if style.symbol != "x" else "x-open"
    if len(places) == len(run.index):
        texts = {
            "text": [
                f"{f'example {index}' if titles is None else safe(titles[index])}<br>output KL {out:.4f}, "
                f"attention KL {within:.4f} nats<br>{'same' if agrees else 'another'} answer "
                f"{'as' if agrees else 'than'} the teacher"
                for index, out, within, agrees in zip(
                    run.index, run.output_kl, run.attention_kl, run.agrees, strict=True
                )
            ],
            "hovertemplate": f"{label}<br>%{{text}}<extra></extra>",
        }
    else:
        said = "example %{customdata[1]}<br>output KL %{x:.4f}, attention KL %{y:.4f} nats"
        texts = {"hovertemplate": f"{label}<br>{said}<extra></extra>"}
    return scatter(
        x=numbers(x[places], 7),
        y=numbers(y[places], 7),
        mode="markers",
        name=label,
        customdata=[[number, int(index)] for index in run.index[places]],
        marker={
            "symbol": [style.symbol if agrees else hollow for agrees in run.agrees[places]],
            "size": 8,
            "color": style.colour,
            "opacity": 0.8,
        },
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 0.8}},
        **texts,
    )


def _falls(first: Inside, second: Inside, points, drawn: np.ndarray, colour: str, what: str) -> dict:
    """One thin line an example, from its point in the first run to the one in the second; `drawn`: those on
    which both give the teacher's answer, by index.
    """
    places = [{int(index): place for place, index in enumerate(run.index)} for run in (first, second)]
    x, y = [], []
    for index in drawn.tolist():
        for values, axis in ((x, 0), (y, 1)):
            ends = [float(points[run][axis][places[run][index]]) for run in (0, 1)]
            values += [*(round(end, 7) for end in ends), None]
    return scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": transparent(colour, 0.22), "width": 1},
        hoverinfo="skip",
        name=f"same {what}",
        connectgaps=False,
    )


def _median(label: str, at: tuple[float, float], colour: str) -> dict:
    """An open cross that lets clicks through to the dot it may lie upon."""
    return scatter(
        x=[at[0]],
        y=[at[1]],
        mode="markers",
        name=f"median, {label}",
        showlegend=False,
        marker={"symbol": "cross-open", "size": 22, "color": colour, "line": {"width": 3}},
        hoverinfo="skip",
    )


def _spread(y: np.ndarray, style: Style, label: str) -> dict:
    """How the cloud is spread along the logarithmic y axis: a smoothed count, outline and tint."""
    logs = np.log10(y)
    grid = np.linspace(logs.min() - 0.3, logs.max() + 0.3, 80)
    width = max(0.05, 1.06 * float(logs.std()) * len(logs) ** -0.2)
    density = np.exp(-0.5 * ((grid[:, None] - logs[None]) / width) ** 2).mean(axis=1) / width
    return scatter(
        x=numbers(density, 4),
        y=numbers(10**grid, 7),
        mode="lines",
        fill="tozerox",
        fillcolor=transparent(style.colour, 0.25),
        line={"color": style.colour, "dash": style.dash, "width": 2},
        hoverinfo="skip",
        showlegend=False,
        name=f"spread of {safe(label, 40)}",
    )


def _ring(panels: Panels, runs: Sequence[Inside], points, chosen: int, colour: str) -> None:
    at = [
        (x[place], y[place])
        for run, (x, y) in zip(runs, points, strict=True)
        for place in np.flatnonzero(run.index == chosen)
    ]
    if at:
        panels.add(
            scatter(
                x=[float(x) for x, _ in at],
                y=[float(y) for _, y in at],
                mode="lines+markers",
                name=f"example {chosen}",
                hoverinfo="skip",
                line={"color": colour, "width": 2},
                marker={"symbol": "circle-open", "size": 18, "color": colour, "line": {"width": 3}},
            )
        )


def _arrow(panels: Panels, medians: Sequence[tuple[float, float]], colour: str) -> None:
    """From the first run's median to the second's; positions on log axes are logarithms."""
    (x0, y0), (x1, y1) = [(math.log10(x), math.log10(y)) for x, y in medians]
    panels.note(
        x=x1,
        y=y1,
        ax=x0,
        ay=y0,
        xref="x",
        yref="y",
        axref="x",
        ayref="y",
        text="",
        showarrow=True,
        arrowhead=2,
        arrowsize=1.2,
        arrowwidth=2.5,
        arrowcolor=colour,
        standoff=14,
        startstandoff=14,
    )
