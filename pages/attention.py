"""Teacher and student maps of one sentence, side by side, with what differs between them."""

import streamlit as st

from kdviz.ui.attention.explore import choose_beside, explore
from kdviz.ui.attention.lines import bertviz
from kdviz.ui.attention.sentence import describe, sentence_inputs
from kdviz.ui.frame import state
from kdviz.ui.frame.controls import panels
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import heading
from kdviz.ui.frame.strip import strip

PARTS = {"maps": ("Explorer", explore), "bertviz": ("BertViz", bertviz)}

scene = strip(moment=False)
widths = [0.1, 3, 4] if state.mode() else [4, 1.5, 2]
title, middle, right = st.columns(widths, vertical_alignment="center")
with title:
    heading("Where the teacher looks, and where the student does", "attention", "difference", "row_kl")
with middle:
    chosen = "bertviz" if scene.view.panel == "bertviz-model" else scene.view.panel
    part = panels({name: words for name, (words, _) in PARTS.items()}, chosen)
if part == "maps":
    with right:
        choose_beside(scene)
if not sentence_inputs(scene):
    st.stop()
with guarded("The sentence"):
    describe(scene)
words, draw = PARTS[part]
with guarded("The maps of this sentence"):
    draw(scene)
