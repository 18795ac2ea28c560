"""Whether the visitor's window is narrow (a phone): figures that stand side by side are then put one below
the other.
"""

from functools import cache

import streamlit as st

NARROW_PIXELS = 640
_SCRIPT = f"""
export default function({{ data, setStateValue }}) {{
  const narrow = window.innerWidth < {NARROW_PIXELS}
  if (narrow !== data.narrow) setStateValue("narrow", narrow)
}}
"""


@cache
def _component():
    return st.components.v2.component("kdviz_screen", js=_SCRIPT)


def ask_screen() -> None:
    """Let the browser say how wide its window is. It answers only where that is news, so a wide window costs
    no second run.
    """
    _component()(
        key="kdviz.screen",
        data={"narrow": is_narrow()},
        default={"narrow": False},
        on_narrow_change=lambda: None,
        height=1,
    )


def is_narrow() -> bool:
    """The browser's last answer; wide until it answers."""
    return bool(getattr(st.session_state.get("kdviz.screen"), "narrow", False))
