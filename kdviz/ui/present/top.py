"""A step begins at its top: who has scrolled down to the button that leads on would find the next step's
words above the window's edge.
"""

from functools import cache

import streamlit as st

from kdviz.ui.frame.compat import MAIN

_SCRIPT = f"""
export default function({{ data }}) {{
  const before = window.kdvizStep
  window.kdvizStep = data.step
  if (before === undefined || before === data.step) return
  for (let part = document.querySelector('{MAIN}'); part; part = part.parentElement) part.scrollTop = 0
}}
"""


@cache
def _component():
    return st.components.v2.component("kdviz_top", js=_SCRIPT)


def begin_at_top(lecture: str, at: int) -> None:
    """Let the browser scroll to the top where this step, counted from 1, is another than it showed before."""
    _component()(key="kdviz.top", data={"step": f"{lecture} {at}"}, height=1)
