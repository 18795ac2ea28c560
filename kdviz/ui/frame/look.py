"""Charts and headings, the same on every page."""

from collections.abc import Callable

import plotly.graph_objects as go
import streamlit as st

from kdviz.text import plain
from kdviz.ui.frame import state
from kdviz.ui.frame.narrow import for_phone, panels_of
from kdviz.ui.frame.screen import is_narrow
from kdviz.ui.frame.words import WORDS
from kdviz.ui.present.large import enlarged

__all__ = ["chart", "charts", "heading", "is_dark", "plain"]

CHART = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "displayModeBar": "hover",
    "responsive": True,
}
FORMATS = {"svg": "SVG, sharp at any size", "png": "PNG, three times the screen's size"}
"""What a figure's own button, seen where the mouse is over it, saves the figure as: both good for print."""
FORMAT_KEY = "kdviz.figures"


def is_dark() -> bool:
    """Whether the visitor's browser shows the dark theme."""
    return st.context.theme.type == "dark"


def chart(
    figure: go.Figure,
    key: str,
    name: str,
    on_click: Callable[[list[dict]], None] | None = None,
    height: int | None = None,
) -> None:
    """A figure under its own theme, with a name for those who cannot see it.

    `on_click` gets the points that were clicked. It runs as a callback, before the page is made anew, so that
    what it changes is already in what the page shows.
    """
    saved_as = st.session_state.get(FORMAT_KEY) or next(iter(FORMATS))
    saving = {"format": saved_as, "scale": 3 if saved_as == "png" else 1, "filename": f"kdviz-{key}"}
    config = CHART | {"toImageButtonOptions": saving}
    options = {"theme": None, "key": key, "config": config, "alt": name, "width": "stretch"}
    if height:
        options["height"] = height
    if state.mode() == "present":
        figure = enlarged(figure)
    if is_narrow():  # then, since larger letters break into more lines
        figure = for_phone(figure)
    if on_click is None or state.is_following():
        st.plotly_chart(figure, **options)
        return
    st.plotly_chart(figure, **options, selection_mode="points", on_select=lambda: _clicked(key, on_click))


def charts(
    figure: go.Figure, key: str, name: str, on_click: Callable[[list[dict]], None] | None = None
) -> None:
    """A figure of several panels side by side; in a narrow window one chart a panel, one below the other."""
    for number, panel in enumerate(panels_of(figure) if is_narrow() else [figure]):
        chart(panel, f"{key}.{number}", name, on_click=on_click)


def _clicked(key: str, on_click: Callable[[list[dict]], None]) -> None:
    points = st.session_state[key].selection.points
    if points:
        on_click([dict(point) for point in points])


def heading(text: str, *terms: str) -> None:
    """A heading, with the explanation of its terms one hover away. A step of a lecture has its own."""
    if state.mode() == "present":
        return
    st.subheader(text, help="\n\n".join(WORDS[term] for term in terms) or None, anchor=False)
