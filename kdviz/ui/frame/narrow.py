"""Figures for a narrow screen: one figure a panel, each as wide as the screen; headings in as many lines as
they need.
"""

import re

import plotly.graph_objects as go

from kdviz.figures.base import FONT_SIZE, SMALL

HEADING_PIXELS = 340
"""What a phone leaves for a heading that begins at the figure's left edge."""

FOR_PHONE = "for a phone"
CONTROLS_PIXELS = 28
"""What the slider needs more when it stands below the play button."""
AXIS_PIXELS, ENTRY_PIXELS = 56, 50
"""What an axis with its name takes below a plot, and a legend's entry beside its letters."""


def panels_of(figure: go.Figure) -> list[go.Figure]:
    """The panels of a figure whose panels stand in one row, from left to right. A figure of one panel comes
    back as it is.
    """
    axes = sorted(
        (name for name in figure.to_plotly_json()["layout"] if name.startswith("xaxis")),
        key=lambda name: figure.layout[name].domain[0],
    )
    return [figure] if len(axes) < 2 else [_panel(figure, name.removeprefix("xaxis")) for name in axes]


def _panel(figure: go.Figure, number: str) -> go.Figure:
    """One panel alone: its traces, lines and headings, stretched over the whole width, with a legend of its
    own.
    """
    plain = figure.to_plotly_json()
    layout, own = dict(plain["layout"]), f"x{number}"
    left, right = layout[f"xaxis{number}"]["domain"]
    kept = {
        name: value
        for name, value in layout.items()
        if not name.startswith(("xaxis", "yaxis")) and name not in ("annotations", "shapes")
    }
    kept["xaxis"] = {**layout[f"xaxis{number}"], "domain": [0, 1], "anchor": "y"}
    kept["yaxis"] = {**layout[f"yaxis{number}"], "anchor": "x"}
    kept["yaxis"].pop("matches", None)
    kept["shapes"] = [
        _moved(shape, own, number)
        for shape in layout.get("shapes", ())
        if shape.get("xref", "").split(" ")[0] == own
    ]
    kept["annotations"] = []
    for note in layout.get("annotations", ()):
        if note.get("xref") == "paper" and left - 1e-6 <= note["x"] < right:
            kept["annotations"].append({**note, "x": (note["x"] - left) / (right - left)})
        elif note.get("xref", "").split(" ")[0] == own:
            kept["annotations"].append(_moved(note, own, number))
    traces, named = [], set()
    for trace in plain["data"]:
        if trace.get("xaxis", "x") == own:
            group = trace.get("legendgroup") or trace.get("name")
            traces.append({**trace, "xaxis": "x", "yaxis": "y", "showlegend": group not in named})
            named.add(group)
    return go.Figure(data=traces, layout=kept)


def _moved(item: dict, own: str, number: str) -> dict:
    """A line or a note of this panel, tied to the axes it has when it stands alone."""
    return {
        **item,
        "xref": item["xref"].replace(own, "x", 1),
        "yref": item.get("yref", "paper").replace(f"y{number}", "y", 1),
    }


def for_phone(figure: go.Figure) -> go.Figure:
    """The same figure with headings and names of axes that break into lines, room for the whole legend, and a
    film's slider below its buttons instead of beside them. Done once.
    """
    if figure.layout.meta == FOR_PHONE:
        return figure
    plain = figure.to_plotly_json()
    layout = dict(plain["layout"])
    margin = dict(layout["margin"])
    plot_pixels = layout["height"] - margin["t"] - margin["b"]
    layout["yaxis"], beside = _named_in_lines(layout.get("yaxis", {}), plot_pixels)
    margin["l"] += beside
    left_pixels = _left_pixels(layout | {"margin": margin})
    layout["annotations"], more = _wrapped(layout.get("annotations", ()), left_pixels)
    margin["t"] += more
    layout["xaxis"], below = _named_in_lines(layout.get("xaxis", {}), HEADING_PIXELS - left_pixels)
    margin["b"] += below
    layout["legend"], under = _whole_legend(figure, margin["b"])
    margin["b"] += under
    layout["height"] += more + below + under
    frames = [
        {**frame, "layout": {"annotations": _wrapped(frame["layout"]["annotations"], left_pixels)[0]}}
        for frame in plain.get("frames", ())
    ]
    if layout.get("sliders"):
        layout["sliders"] = [
            {**slider, "x": 0, "len": 1, "pad": {"t": 52, "b": 6}} for slider in layout["sliders"]
        ]
        layout["updatemenus"] = [{**menu, "pad": {"t": 8, "r": 8}} for menu in layout["updatemenus"]]
        layout["height"] += CONTROLS_PIXELS
        margin["b"] += CONTROLS_PIXELS
    return go.Figure(data=plain["data"], layout=layout | {"margin": margin, "meta": FOR_PHONE}, frames=frames)


def _left_pixels(layout: dict) -> int:
    """What stands left of the plot: the margin, which plotly widens where names of rows need more."""
    axis = layout.get("yaxis", {})
    size = (axis.get("tickfont") or layout.get("font") or {}).get("size", SMALL)
    names = (text for text in axis.get("ticktext") or () if isinstance(text, str))
    return max(layout["margin"]["l"], round(0.42 * size * max(map(len, names), default=0)))


def _whole_legend(figure: go.Figure, below: int) -> tuple[dict, int]:
    """The legend with no entry behind a scroll bar, and the pixels that its rows need beside what is `below`
    the plot.
    """
    legend = figure.layout.legend.to_plotly_json()
    entries = [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]
    if legend.get("orientation") != "h" or figure.layout.showlegend is False or not entries:
        return legend, 0
    size = legend["font"]["size"]
    across = max(1, HEADING_PIXELS // int(0.5 * size * max(map(len, entries)) + ENTRY_PIXELS))
    rows = -(-len(entries) // across)
    needed = AXIS_PIXELS + rows * round(1.3 * size + 5)
    return {**legend, "maxheight": 1, "tracegroupgap": 0}, max(0, needed - below)


def _named_in_lines(axis: dict, pixels: int) -> tuple[dict, int]:
    """The axis with its name broken into lines of so many pixels, and those that takes across."""
    title = axis.get("title") or {}
    if not title.get("text"):
        return axis, 0
    size = (title.get("font") or {}).get("size", FONT_SIZE)
    text = broken(title["text"], max(12, int(pixels / (0.5 * size))))
    lines = text.count("<br>") - title["text"].count("<br>")
    return {**axis, "title": {**title, "text": text}}, lines * round(1.3 * size)


def _wrapped(notes: list[dict], left_pixels: int) -> tuple[list[dict], int]:
    """The notes with the first panel's headings begun at the figure's edge and those on top broken into
    lines; the pixels that takes more.
    """
    moved, more = list(notes), 0
    for place in sorted(range(len(moved)), key=lambda place: moved[place].get("yshift", 0)):
        note = moved[place]
        if (note.get("xref"), note.get("yref"), note["x"], note.get("xanchor"), note.get("yanchor")) != (
            "paper",
            "paper",
            0,
            "left",
            "bottom",
        ) or note["y"] == 0:
            continue
        moved[place] = {**note, "xshift": 4 - left_pixels}
        if note["y"] > 0.999:
            size = note["font"]["size"]
            text = broken(note["text"], int(HEADING_PIXELS / (0.5 * size)))
            moved[place] |= {"text": text, "yshift": note.get("yshift", 0) + more}
            more += (text.count("<br>") - note["text"].count("<br>")) * round(1.3 * size)
    return moved, more


def broken(text: str, longest: int) -> str:
    """A plotly text in lines of at most `longest` letters, broken between words; tags count for nothing."""
    lines = []
    for line in text.split("<br>"):
        written, letters = "", 0
        for part in re.findall(r"<[^>]*>|\s+|[^<\s]+", line):
            length = 0 if part.startswith("<") else len(part)
            if letters and letters + length > longest:
                lines.append(written.rstrip())
                written, letters = "", 0
            if letters or not part.isspace():
                written, letters = written + part, letters + length
        lines.append(written)
    return "<br>".join(lines)
