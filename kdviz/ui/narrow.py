"""Figures of several panels taken apart for a narrow screen: one figure a panel, each as wide as the screen."""

import plotly.graph_objects as go


def panels_of(figure: go.Figure) -> list[go.Figure]:
    """The panels of a figure whose panels stand in one row, from left to right. A figure of one panel comes back as it is."""
    axes = sorted((name for name in figure.to_plotly_json()["layout"] if name.startswith("xaxis")), key=lambda name: figure.layout[name].domain[0])
    return [figure] if len(axes) < 2 else [_panel(figure, name.removeprefix("xaxis")) for name in axes]


def _panel(figure: go.Figure, number: str) -> go.Figure:
    """One panel alone: its traces, lines and headings, stretched over the whole width, with a legend of its own."""
    plain = figure.to_plotly_json()
    layout, own = dict(plain["layout"]), f"x{number}"
    left, right = layout[f"xaxis{number}"]["domain"]
    kept = {name: value for name, value in layout.items() if not name.startswith(("xaxis", "yaxis")) and name not in ("annotations", "shapes")}
    kept["xaxis"] = {**layout[f"xaxis{number}"], "domain": [0, 1], "anchor": "y"}
    kept["yaxis"] = {**layout[f"yaxis{number}"], "anchor": "x"}
    kept["yaxis"].pop("matches", None)
    kept["shapes"] = [_moved(shape, own, number) for shape in layout.get("shapes", ()) if shape.get("xref", "").split(" ")[0] == own]
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
    return {**item, "xref": item["xref"].replace(own, "x", 1), "yref": item.get("yref", "paper").replace(f"y{number}", "y", 1)}
