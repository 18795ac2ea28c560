"""Set up a run, see what it will do, start it, and watch it."""

import streamlit as st

from kdviz.ui.distil.before import asked, preview, start_box
from kdviz.ui.distil.ending import left_over
from kdviz.ui.distil.form import controls_in_sight, more_controls
from kdviz.ui.distil.kept_form import keep_form, restore_form
from kdviz.ui.distil.list import run_list
from kdviz.ui.distil.live import live_section
from kdviz.ui.frame import link, state
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.identity import permissions, presenter_box, visitor
from kdviz.ui.frame.look import heading

link.read_link()
state.leave_if_asked()
link.settle(state.current())
with st.container(), guarded("Runs left behind"):  # what comes and goes above would rename the live view
    left_over(on_top=True)
with guarded("The live view"):
    live_section()
if not permissions().read_only:
    heading("Distil a student", "distillation")
    owner = visitor().owner
    restore_form(owner)
    wanted = asked()
    left, right = st.columns([1, 1], gap="large")
    with left, guarded("The settings"):
        controls_in_sight(wanted.error)
        start_box(wanted)
    with right, guarded("The plan of this run"):
        preview(wanted)
    with guarded("More settings"):
        more_controls(wanted.error)
    keep_form(owner)
presenter_box()
with guarded("The list of runs"):
    run_list()
