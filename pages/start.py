"""The first screen: the finding itself, moving; and two doors."""

import streamlit as st

from kdviz.explorer.telling import students_of, telling_probe
from kdviz.ui.frame import state
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.shell import through_app
from kdviz.ui.frame.store import store, watchable
from kdviz.ui.frame.strip import strip
from kdviz.ui.start.parts import doors, finding, own_sentence, result, title

through_app()
if not state.mode():  # a frame shows the page asked for itself
    state.leave_if_asked()
runs = watchable(store().runs())
if not state.mode():  # a lecture has its own words
    text, buttons = st.columns([3, 2], vertical_alignment="center", gap="medium")
    with text:
        title(bool(runs))
    with buttons:
        doors(bool(runs))
if runs:
    above = st.container()
    scene = strip(
        prefer_demo=True,
        moment=False,
        natural_probe=lambda run, others: telling_probe(students_of(run, others)),
    )
    with above:
        with guarded("The maps of this sentence"):
            finding(scene)
        own_sentence(scene)
    with guarded("The scores"):
        result(scene)
