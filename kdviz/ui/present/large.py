"""Type that is read from the last row: the page's and the figures'."""

import copy
import re

import plotly.graph_objects as go
import streamlit as st

from kdviz.ui.frame.compat import BLOCK, CAPTION, HEADER, MAIN, MARKDOWN, PROGRESS, SIDEBAR

SMALLEST_PIXELS = 20
ROOT_PIXELS = 23
"""Streamlit's smallest letters are 0.875 of the root's."""
PICTURE_PIXELS = 24
"""The explorer's smallest letters are 0.85 of this."""
ASKED_FOR = "presenter-asked-for"
"""The container of what the keys A and N show: in sight however long the step is, no clicker scrolls."""
STYLE = f"""<style>
html {{ font-size: {ROOT_PIXELS}px !important; --kx-size: {PICTURE_PIXELS}px; }}
{HEADER}, {SIDEBAR} {{ display: none; }}
{MAIN} {{ padding: .5rem 1rem 1rem; max-width: none; }}
{MAIN} small, {CAPTION} *, {MARKDOWN} code, {MARKDOWN} td, {MARKDOWN} th,
{MARKDOWN} [style*="font-size"] {{ font-size: {SMALLEST_PIXELS}px !important; }}
{MARKDOWN} td, {MARKDOWN} th {{ padding: .1rem .35rem; }}
{MAIN} {BLOCK} {{ gap: .55rem; }}
{MARKDOWN} p, {MARKDOWN} li {{ line-height: 1.35; }}
:has(> .st-key-{ASKED_FOR}) {{ position: sticky; bottom: .5rem; z-index: 2; }}
.st-key-{ASKED_FOR} {{ background: Canvas; padding: .3rem 0; }}
{PROGRESS} [role="progressbar"] * {{ height: 4px; min-height: 4px; }}
</style>"""
RAISED = re.compile(r"(?:(\d+)·)?10<sup>(.*?)</sup>")
_SCALE = 1.55
_FONTS = ("font", "tickfont", "textfont", "insidetextfont", "outsidetextfont")


def enlarge() -> None:
    """Large letters for this window, and no menu. A constant text of our own: nothing of others is in it."""
    st.html(STYLE)


def enlarged(figure: go.Figure) -> go.Figure:
    """The same figure with letters of at least SMALLEST_PIXELS, and the room around it that they take."""
    plain = copy.deepcopy(figure.to_plotly_json())
    layout = plain["layout"]
    _enlarge(plain)
    layout.setdefault("font", {})["size"] = max(SMALLEST_PIXELS, layout.get("font", {}).get("size", 12))
    layout["margin"] = {side: round(_SCALE * value) for side, value in layout.get("margin", {}).items()}
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")) and axis.get(
            "ticktext"
        ):  # a raised exponent is written smaller
            axis["ticktext"] = [RAISED.sub(_in_line, str(text)) for text in axis["ticktext"]]
    if layout.get("height"):
        layout["height"] = round(1.2 * layout["height"])
    return go.Figure(plain)


def _in_line(power: re.Match) -> str:
    return f"{power[1] or '1'}e{power[2]}"


def _enlarge(item: object) -> None:
    if isinstance(item, dict):
        for name, value in item.items():
            if name in _FONTS and isinstance(value, dict) and isinstance(value.get("size"), (int, float)):
                value["size"] = max(SMALLEST_PIXELS, round(1.3 * value["size"]))
            elif name in ("xshift", "yshift") and isinstance(value, (int, float)):
                item[name] = round(_SCALE * value)
            else:
                _enlarge(value)
    elif isinstance(item, (list, tuple)):
        for each in item:
            _enlarge(each)
