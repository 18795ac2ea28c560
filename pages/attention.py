"""Teacher and student maps of one sentence, side by side, with what differs between them."""

import streamlit as st

from kdviz.ui.attention.parts import bertviz_heads, bertviz_model, filters, maps, through_training
from kdviz.ui.attention.sentence import choose_head, choose_pair, describe, sentence_inputs, shown_sentence
from kdviz.ui.frame.controls import panels
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import heading
from kdviz.ui.frame.strip import strip

PARTS = {
    "maps": ("Maps", maps),
    "training": ("Through training", through_training),
    "bertviz": ("BertViz heads", bertviz_heads),
    "bertviz-model": ("BertViz model", bertviz_model),
}

scene = strip(more=filters)
heading("Where the teacher looks, and where the student does", "attention", "difference", "row_kl")
if not sentence_inputs(scene):
    st.stop()

shown = None
with guarded("The maps of this sentence"):
    shown = shown_sentence(scene)
with guarded("The sentence"):
    describe(scene, shown)
left, middle, right = st.columns([3, 1.3, 1], vertical_alignment="bottom")
with left:
    part = panels({name: title for name, (title, _) in PARTS.items()}, scene.view.panel)
choose_pair(scene, middle)
choose_head(scene, right)
if shown:
    title, draw = PARTS[part]
    with guarded(title):
        draw(scene, shown)
