"""Figures put together as plain dicts over a grid of panels, and checked by plotly once, at the end.

plotly's own way (`make_subplots`, `add_trace`, `update_xaxes`, `add_annotation`) checks and copies at every
call, some six times the work. That time would be paid on every change of layer, head or epoch, and every
second while a run is trained, by the run itself.
"""

import importlib
from collections.abc import Sequence

import plotly.graph_objects as go

from kdviz.figures.base import CLEAR, FONT, FONT_SIZE, SMALL, heading_text
from kdviz.palette import theme

Domain = tuple[float, float, float, float]
"""(left, right, bottom, top) of a panel in paper coordinates."""

WHOLE: Domain = (0.0, 1.0, 0.0, 1.0)


def side_by_side(widths: Sequence[float], *, spacing: float = 0.0) -> list[Domain]:
    """Panels in one row from left to right, `spacing` (paper) apart; `widths` are shares of the rest."""
    unit = (1 - spacing * (len(widths) - 1)) / sum(widths)
    lefts = [sum(widths[:place]) * unit + place * spacing for place in range(len(widths))]
    return [(left, left + width * unit, 0.0, 1.0) for left, width in zip(lefts, widths, strict=True)]


class Panels:
    """A figure in the making. Panels count from 1, as plotly's axes do: panel 2 has the axes x2 and y2.

    With `shared_y` all panels stand on the first one's y axis, whose labels are written once.
    """

    def __init__(self, domains: Sequence[Domain] = (WHOLE,), *, dark: bool, shared_y: bool = False):
        self.dark, self.domains = dark, list(domains)
        self.traces: list[dict] = []
        self.notes: list[dict] = []
        self.shapes: list[dict] = []
        self._axes: dict[str, dict] = {}
        for panel, (left, right, bottom, top) in enumerate(self.domains, start=1):
            x, y = axis_name("x", panel), axis_name("y", panel)
            self._axes[x] = axis_look(dark) | {"anchor": y, "domain": [left, right]}
            self._axes[y] = axis_look(dark) | {"anchor": x, "domain": [bottom, top]}
            if shared_y and panel > 1:
                self._axes[y] |= {"matches": "y", "showticklabels": False}

    def add(self, trace: dict, panel: int = 1) -> None:
        """Draw a trace in a panel, above those drawn before."""
        self.traces.append(trace | {"xaxis": axis_name("x", panel), "yaxis": axis_name("y", panel)})

    def x_axis(self, *panels: int, **settings) -> None:
        """Settings of the x axes of these panels, of all panels where none is named; a title keeps its
        font.
        """
        self._set("x", panels, settings)

    def y_axis(self, *panels: int, **settings) -> None:
        """The same of the y axes."""
        self._set("y", panels, settings)

    def note(self, **annotation) -> None:
        """A piece of text or an arrow."""
        self.notes.append(annotation)

    def heading(
        self, text: str, *, panel: int = 1, y: float | None = None, shift: int = 6, size: int = FONT_SIZE + 1
    ) -> None:
        """A line of text from a panel's left edge on, above the panel or at the height `y` (paper)."""
        left, _, _, top = self.domains[panel - 1]
        self.note(
            **heading_text(text, x=left, y=top if y is None else y, dark=self.dark, shift=shift, size=size)
        )

    def frame(
        self, x: float, y: float, half: float, *, line: dict, panel: int = 1, half_height: float | None = None
    ) -> None:
        """A rectangle around a cell, in data coordinates: `half` its width to either side."""
        half_height = half if half_height is None else half_height
        ends = {"x0": x - half, "x1": x + half, "y0": y - half_height, "y1": y + half_height}
        self.shapes.append(
            {"type": "rect", "xref": axis_name("x", panel), "yref": axis_name("y", panel), "line": line}
            | ends
        )

    def vertical_line(self, x: float, *, line: dict, panel: int = 1, layer: str | None = None) -> None:
        """A line from the bottom to the top of a panel; none in an empty panel."""
        ends = {
            "x0": x,
            "x1": x,
            "y0": 0,
            "y1": 1,
            "xref": axis_name("x", panel),
            "yref": axis_name("y", panel) + " domain",
        }
        if any(trace["xaxis"] == ends["xref"] for trace in self.traces):
            self.shapes.append({"type": "line", "line": line, "layer": layer} | ends)

    def level(self, y: float, *, line: dict, layer: str | None = None) -> None:
        """A line from the left to the right edge of the first panel."""
        self.shapes.append(
            {
                "type": "line",
                "line": line,
                "layer": layer,
                "x0": 0,
                "x1": 1,
                "y0": y,
                "y1": y,
                "xref": "x domain",
                "yref": "y",
            }
        )

    def figure(
        self,
        *,
        height: int,
        margin: dict | None = None,
        legend: dict | None = None,
        frames: Sequence[dict] = (),
        **settings,
    ) -> go.Figure:
        """All of it in the common look. Pages show it with `theme=None`, so nothing is repainted."""
        look, font = theme(self.dark), {"family": FONT, "size": FONT_SIZE, "color": theme(self.dark).text}
        layout = {
            "template": "none",
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "height": height,
            "margin": {"l": 60, "r": 20, "t": 50, "b": 50} | (margin or {}),
            "font": font,
            "hoverlabel": {
                "bgcolor": look.secondary,
                "bordercolor": look.grid,
                "font": font,
                "align": "left",
            },
            "legend": {"font": {"size": FONT_SIZE}, "bgcolor": CLEAR} | (legend or {}),
            "hovermode": "closest",
            "dragmode": False,
            "annotations": self.notes,
            "shapes": self.shapes,
            **settings,
        }
        axes = {f"{name[0]}axis{name[1:]}": axis for name, axis in self._axes.items()}
        importlib.import_module("pandas")  # plotly takes one that another thread is importing for a whole one
        return go.Figure({"data": self.traces, "layout": axes | layout, "frames": list(frames)})

    def _set(self, letter: str, panels: Sequence[int], settings: dict) -> None:
        for panel in panels or range(1, len(self.domains) + 1):
            axis = self._axes[axis_name(letter, panel)]
            title = axis["title"] | settings.get("title", {})
            axis |= settings | {"title": title}


def axis_name(letter: str, panel: int) -> str:
    """What plotly calls the x or y axis of a panel: "x", "x2", …"""
    return letter if panel == 1 else f"{letter}{panel}"


def axis_look(dark: bool) -> dict:
    """Lines, grid and fonts of an ordinary axis."""
    look = theme(dark)
    return {
        "showline": True,
        "linecolor": look.grid,
        "gridcolor": look.grid,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
        "tickfont": {"size": SMALL, "color": look.text},
        "title": {"font": {"size": FONT_SIZE, "color": look.muted}},
    }
