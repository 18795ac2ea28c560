"""The first screen: what distillation is, a stored result, and two doors."""

import streamlit as st

from kdviz.ui.frame.shell import through_app
from kdviz.ui.frame.store import store, watchable
from kdviz.ui.frame.strip import strip
from kdviz.ui.start.parts import doors, meaning, result

through_app()
text, buttons = st.columns([5, 2], vertical_alignment="center", gap="medium")
runs = watchable(store().runs())
with text:
    meaning(bool(runs))
with buttons:
    doors(bool(runs))
if runs:
    result(strip(prefer_demo=True))
