"""Set up a run, see what it will do, start it, and watch it."""

import streamlit as st

from kdviz.ui import state
from kdviz.ui.distil_form import controls_in_sight, more_controls
from kdviz.ui.distil_list import run_list
from kdviz.ui.distil_live import live_section
from kdviz.ui.distil_start import asked, preview, start_box
from kdviz.ui.guard import guarded
from kdviz.ui.look import heading
from kdviz.ui.room import presenter_box, room

state.read_link()
state.leave_if_asked()
state.settle(state.current())
with guarded("The live view"):
    live_section()
if not room().read_only:
    heading("Distil a student", "distillation")
    wanted = asked()
    left, right = st.columns([1, 1], gap="large")
    with left, guarded("The settings"):
        controls_in_sight(wanted.error)
        start_box(wanted)
    with right, guarded("The plan of this run"):
        preview(wanted)
    with guarded("More settings"):
        more_controls(wanted.error)
presenter_box()
with guarded("The list of runs"):
    run_list()
