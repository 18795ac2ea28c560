"""What all figures share: safe text, numbers, traces, headings, axes, the layer of markers that makes heat
maps clickable.
"""

import math
from collections.abc import Sequence

import numpy as np

from kdviz.palette import colour_at, ink, theme

FONT = (
    "'Source Sans', 'Source Sans Pro', 'Source Sans 3', 'Noto Sans', 'Segoe UI', Helvetica, Arial, sans-serif"
)
FONT_SIZE = 15
SMALL = 14
CHARACTER_PIXELS = 8
CLEAR = "rgba(0,0,0,0)"
TICK_STEPS = ((1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))
"""Ticks in a decade of a logarithmic axis; of the second any third of a decade holds two."""


def safe(text: object, longest: int | None = None) -> str:
    """Text for a plotly label: tags shown as text (plotly reads `<b>` and links), one line, cut to `longest`
    characters with "…".
    """
    line = " ".join(str(text).split()) or "␣"
    if longest is not None and len(line) > longest:
        line = line[: longest - 1] + "…"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def numbers(values, digits: int = 5) -> list:
    """Nested plain lists rounded to `digits` decimals, NaN and infinities as None (blank): small, and
    readable in the figure's JSON.
    """
    array = np.asarray(values, dtype=np.float64)
    rounded = np.round(array, digits) + 0.0
    return np.where(np.isfinite(array), rounded.astype(object), None).tolist()


def numbers_of_examples(found: Sequence[int]) -> str:
    """The numbers of examples behind what is drawn, each once: 1,043 and 400."""
    return " and ".join(f"{number:,}" for number in dict.fromkeys(found))


def over_examples(found: Sequence[int]) -> str:
    """What a number is over: 1,043 and 400 evaluation examples, or 1 evaluation example."""
    return f"{numbers_of_examples(found)} evaluation example{'s' * (set(found) != {1})}"


def heading_text(
    text: str,
    *,
    x: float,
    y: float = 1.0,
    dark: bool,
    shift: int = 6,
    anchor: str = "left",
    size: int = FONT_SIZE + 1,
) -> dict:
    """A line of text above a panel, in paper coordinates, as an annotation."""
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": anchor,
        "yanchor": "bottom",
        "yshift": shift,
        "showarrow": False,
        "align": "left",
        "font": {"size": size, "color": theme(dark).text},
    }


def scatter(**settings) -> dict:
    """A trace of points or lines, as a plain dict."""
    return {"type": "scatter", **settings}


def heatmap(**settings) -> dict:
    """A heat map, as a plain dict."""
    return {"type": "heatmap", **settings}


def bar(**settings) -> dict:
    """A trace of bars, as a plain dict."""
    return {"type": "bar", **settings}


def badge(colour: str) -> str:
    """A small coloured square to put before a name; the name itself stays in the text colour, which is
    readable.
    """
    return f"<span style='color:{colour}'>■</span>"


def click_layer(
    x: Sequence, y: Sequence, customdata: Sequence, text: Sequence[str], *, name: str, size: int = 22
) -> dict:
    """Invisible square markers over a heat map: clicks on a heat map itself return nothing in Streamlit
    (streamlit#8760).
    """
    hidden = {"marker": {"opacity": 0}}
    return scatter(
        x=list(x),
        y=list(y),
        customdata=list(customdata),
        text=list(text),
        mode="markers",
        name=name,
        showlegend=False,
        marker={"symbol": "square", "size": size, "opacity": 0},
        selected=hidden,
        unselected=hidden,
        hovertemplate="%{text}<extra></extra>",
    )


def cell_numbers(values: np.ndarray, *, zmax: float, dark: bool) -> dict:
    """Numbers to write into the cells of a heat map from 0 to `zmax`, each in the ink that reads best on its
    cell's colour.
    """
    rows, columns = values.shape
    colours = theme(dark).sequential
    return scatter(
        x=list(range(columns)) * rows,
        y=[row for row in range(rows) for _ in range(columns)],
        mode="text",
        name="numbers",
        hoverinfo="skip",
        showlegend=False,
        text=[f"{value:.2f}" if math.isfinite(value) else "" for value in values.flat],
        textfont={
            "size": SMALL,
            "color": [ink(colour_at(colours, value / zmax)) for value in np.nan_to_num(values).flat],
        },
    )


def side_bar(unit: str, dark: bool) -> dict:
    """A thin colour bar on the right with its unit along it."""
    look = theme(dark)
    return {
        "title": {"text": unit, "side": "right", "font": {"size": SMALL, "color": look.muted}},
        "thickness": 12,
        "outlinewidth": 1,
        "outlinecolor": look.grid,
        "tickfont": {"size": SMALL, "color": look.text},
        "nticks": 4,
    }


def log_axis(values: np.ndarray) -> dict:
    """A logarithmic axis around positive `values`, with ticks at powers of ten when it spans much, at 1, 2, 5
    when little, and closer ones where fewer than two of those would be seen.
    """
    low, high = math.log10(float(np.min(values))) - 0.15, math.log10(float(np.max(values))) + 0.15
    for steps in TICK_STEPS if high - low < 2.5 else ((1,),):
        ticks = [
            step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps
        ]
        if sum(low <= math.log10(tick) <= high for tick in ticks) >= 2:
            break
    return {
        "type": "log",
        "range": [low, high],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [tick_text(tick) for tick in ticks],
    }


def tick_text(tick: float) -> str:
    """A tick of a logarithmic axis: plain down to a thousandth, below it as a power of ten."""
    digits, exponent = f"{tick:.1e}".split("e")
    digit = digits.removesuffix(".0")
    return f"{tick:g}" if tick >= 0.001 else f"{digit}·" * (digit != "1") + f"10<sup>−{-int(exponent)}</sup>"


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Where to write labels beside `values` so that neighbours are at least `gap` apart and stay in order."""
    order = np.argsort(values, kind="stable")
    placed = np.asarray(values, dtype=np.float64)[order]
    for place in range(1, len(placed)):
        placed[place] = max(placed[place], placed[place - 1] + gap)
    positions = np.empty(len(placed))
    positions[order] = placed
    return positions.tolist()


def legend_below(num_entries: int, *, longest_label: int) -> tuple[dict, int]:
    """A horizontal legend along the bottom edge, and the pixels it needs for that many entries on a page
    about 900 wide.
    """
    across = max(1, 900 // (longest_label * CHARACTER_PIXELS + 50))
    rows = -(-max(1, num_entries) // across)
    return {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
    }, 24 * rows + 8


def play_controls(
    labels: Sequence[str],
    *,
    active: int,
    dark: bool,
    prefix: str,
    milliseconds: int = 600,
    top: float = 0.0,
    left: float = 0.14,
) -> dict:
    """Slider and play button for frames named "0", "1", …: `sliders` and `updatemenus` for the layout. Runs
    in the browser alone.

    `top` is their upper edge in paper coordinates; the slider begins at `left`, beside the buttons.
    """
    look = theme(dark)
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    playing = {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": milliseconds, "redraw": True},
        "transition": {"duration": 0},
    }
    slider = {
        "active": active,
        "x": left,
        "len": 1 - left,
        "y": top,
        "yanchor": "top",
        "pad": {"t": 24, "b": 6},
        "currentvalue": {
            "prefix": prefix,
            "font": {"size": FONT_SIZE + 1, "color": look.text},
            "xanchor": "left",
            "offset": 12,
        },
        "font": {"size": SMALL, "color": look.muted},
        "bgcolor": look.grid,
        "bordercolor": look.grid,
        "activebgcolor": look.muted,
        "tickcolor": look.muted,
        "ticklen": 4,
        "minorticklen": 0,
        "steps": [
            {"label": label, "method": "animate", "args": [[str(place)], still]}
            for place, label in enumerate(labels)
        ],
    }
    buttons = {
        "type": "buttons",
        "direction": "right",
        "showactive": False,
        "x": 0.0,
        "xanchor": "left",
        "y": top,
        "yanchor": "top",
        "pad": {"t": 40, "r": 8},
        "bgcolor": look.secondary,
        "bordercolor": look.grid,
        "font": {"size": FONT_SIZE, "color": look.text},
        "buttons": [
            {"label": "▶ Play", "method": "animate", "args": [None, playing]},
            {"label": "❚❚", "method": "animate", "args": [[None], still]},
        ],
    }
    return {"sliders": [slider], "updatemenus": [buttons]}
