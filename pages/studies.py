"""Grids of runs and their tables: what holds over seeds, and what the paper found."""

import streamlit as st

from kdviz.text import plain
from kdviz.ui.frame import link, state
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import heading
from kdviz.ui.studies.choose import choose_study, table_of
from kdviz.ui.studies.table import (
    choose_task,
    comparisons,
    curves,
    numbers,
    provenance,
    sentences,
    take_away,
    task_in_sight,
)
from kdviz.ui.studies.watch import start_or_watch

asked = st.query_params.to_dict() if link.is_news() else {}  # before the link becomes the view's own
link.read_link()
state.leave_if_asked()
with st.container():  # what comes and goes above would rename the fragment below, in mid-click
    entry = choose_study(asked.get("study", ""))
    table = table_of(entry)
    task = task_in_sight(table, asked.get("task", "")) if table is not None else ""
    link.settle(state.current(), study=entry.key, **({"task": task} if task else {}))
    heading(plain(entry.title), "study", "seeds")
    if table is not None:
        if table.about:
            st.markdown(plain(table.about))
        with guarded("What the table says"):
            sentences(table)
if entry.study is not None:
    with guarded("Starting and watching"):
        start_or_watch(entry.study, table)
if table is not None:
    choose_task(table, task)
    with guarded("The table"):
        numbers(entry, table, task)
    with guarded("The curves"):
        curves(table, task)
    with guarded("The comparisons"):
        comparisons(table, task)
    with guarded("Where it comes from"):
        provenance(entry, table)
    take_away(table)
