"""Teacher and student maps of one sentence, side by side, with what differs between them."""

import streamlit as st

from kdviz.ui.attention_parts import filters, maps, through_training
from kdviz.ui.controls import panels
from kdviz.ui.guard import guarded
from kdviz.ui.look import heading
from kdviz.ui.sentence import choose_pair_and_head, describe, sentence_inputs, shown_sentence
from kdviz.ui.strip import strip

PARTS = {"maps": "Maps", "training": "Through training"}
DRAW = {"maps": maps, "training": through_training}

scene = strip(more=filters)
heading("Where the teacher looks, and where the student does", "attention")
sentence_inputs(scene)

shown = None
with guarded("The maps of this sentence"):
    shown = shown_sentence(scene)
with guarded("The sentence"):
    describe(scene, shown)
left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
with left:
    part = panels(PARTS, scene.view.panel)
choose_pair_and_head(scene, middle, right)
if shown:
    with guarded(f"“{PARTS[part]}” of this sentence"):
        DRAW[part](scene, shown)
