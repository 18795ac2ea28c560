"""The loss terms of one run over its steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from kdviz.figures.base import legend_below, numbers, scatter
from kdviz.figures.curves import pair_name, pair_shade
from kdviz.figures.panels import Panels, side_by_side
from kdviz.method.terms import TERMS
from kdviz.palette import strategy_style, theme


def loss_curves(
    train_lines: Sequence[Mapping],
    pairs: Sequence[tuple[int, int]],
    *,
    strategy: str,
    stages: Sequence[tuple[float, str]] = (),
    dark: bool = False,
) -> go.Figure:
    """The terms of the loss, live: classification and every internal term in panels of their own.

    `train_lines` are the "train" lines of metrics.jsonl as dicts. A term that is not active in a stage is
    absent there: its line breaks. `stages` (epoch at which it begins, short name).
    """
    look, epochs = theme(dark), [line["epoch"] for line in train_lines]
    parts = _parts(train_lines, pairs)
    panels, named = Panels(side_by_side([1] * len(parts), spacing=0.21 / len(parts)), dark=dark), set()
    for column, part in enumerate(parts, start=1):
        for place, (key, name) in enumerate(part.names.items()):
            values = [part.value(line["losses"], key) for line in train_lines]
            if all(item is None for item in values):
                continue
            line = (
                [{"color": look.text}, {"color": look.muted, "dash": "dash"}][place]
                if column == 1
                else {"color": pair_shade(strategy_style(strategy), place, len(part.names), dark)}
            )
            panels.add(
                scatter(
                    x=numbers(epochs, 3),
                    y=[None if item is None else round(item, 5) for item in values],
                    mode="lines",
                    name=name,
                    connectgaps=False,
                    legendgroup=name,
                    showlegend=name not in named,
                    line=line | {"width": 2},
                    hovertemplate=f"{name}<br>epoch %{{x:.2f}}: %{{y:.4f}}<extra></extra>",
                ),
                column,
            )
            named.add(name)
    last = max(epochs, default=1.0)
    for column, part in enumerate(parts, start=1):
        panels.x_axis(column, title={"text": "epoch", "standoff": 6}, range=[0, max(last, 1e-3)])
        panels.y_axis(
            column,
            title={"text": f"training loss ({part.unit})" if column == 1 else part.unit},
            rangemode="tozero",
            nticks=6,
        )
        empty = "" if train_lines else ": no step yet"
        panels.heading(f"<b>{part.title}</b>{empty}", panel=column, shift=24)
        for begin, _ in stages:
            if 0 < begin <= last:
                panels.vertical_line(
                    begin, line={"color": look.muted, "width": 1, "dash": "dot"}, panel=column
                )
    legend, legend_pixels = legend_below(max(1, len(panels.traces)), longest_label=32)
    return panels.figure(
        height=270 + legend_pixels, margin={"t": 62, "b": 52 + legend_pixels}, legend=legend, showlegend=True
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A panel: what its lines are called by their key, and `value(losses, key)` of a train line's losses."""

    title: str
    unit: str
    names: Mapping[str, str]
    value: Callable[[Mapping, str], float | None]


def _parts(train_lines: Sequence[Mapping], pairs: Sequence[tuple[int, int]]) -> list[_Part]:
    """Classification, and every internal term that is a default one or was trained."""
    classification = _Part(
        title="Classification",
        unit="nats",
        names={"soft": "soft labels (T²·KL, nats)", "hard": "hard labels (cross-entropy, nats)"},
        value=lambda losses, key: losses.get(key),
    )
    return [classification] + [
        _Part(
            title=term.title,
            unit=term.unit,
            names={str(pair[0]): pair_name(pair) for pair in pairs},
            value=lambda losses, key, term=term: losses.get(term.key, {}).get(key),
        )
        for term in TERMS.values()
        if term.is_default or any(term.key in line["losses"] for line in train_lines)
    ]
