"""A run's state and name, as lists and cards show them."""

import streamlit as st

from kdviz.analysis.divergence import divergence
from kdviz.runs.names import short_name
from kdviz.share.live import Row
from kdviz.ui.distil.words import STATE_COLOURS, STATE_ICONS, STATE_WORDS
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.store import task_title


def state_badge(row: Row) -> None:
    """The state of a run in a word, with its place where it waits."""
    words = STATE_WORDS[row.state]
    if row.place:
        words += f", place {row.place}"
    elif row.waits_elsewhere:
        words += " in another server"
    elif row.is_left_over:
        words = "left waiting"
    st.badge(words, icon=STATE_ICONS[row.state], color=STATE_COLOURS[row.state])


def run_title(row: Row) -> None:
    """State, task and what tells the run apart, in one line; whether it diverged, and whose data it had."""
    state_badge(row)
    if divergence(row.run):
        st.badge("diverged", icon=":material/trending_up:", color="red")
    st.markdown(f"**{plain(task_title(row.run.task))}**, {plain(short_name(row.run))}", width="content")
    if row.run.is_sample_data:
        st.badge("sample data, not GLUE", color="orange")
