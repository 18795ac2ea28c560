"""Teacher and student maps of one sentence, side by side, with what differs between them."""

import streamlit as st

from kdviz.ui.attention.explore import choose_beside, explore
from kdviz.ui.attention.lines import bertviz
from kdviz.ui.attention.sentence import describe, sentence_inputs
from kdviz.ui.frame import state
from kdviz.ui.frame.controls import panels
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import heading
from kdviz.ui.frame.strip import Scene, strip

PARTS = {"maps": ("Explorer", explore), "bertviz": ("BertViz", bertviz)}


def part_of(scene: Scene) -> str:
    """The part in sight."""
    return "bertviz" if str(scene.view.panel).startswith("bertviz") else "maps"


def choose_part(scene: Scene) -> None:
    """Which part, and what stands beside the run."""
    panels({name: words for name, (words, _) in PARTS.items()}, part_of(scene), in_box=True)
    if part_of(scene) == "maps":
        choose_beside(scene)


is_presented = state.mode() == "present"  # on the wall the picture has the room, and the lecture the words
scene = strip(moment=False, more=choose_part if is_presented else None)
part = part_of(scene)
if state.mode() == "":
    title, choices = st.columns([4, 3.5], vertical_alignment="center")
    with title:
        heading("Where the teacher looks, and where the student does", "attention", "difference", "row_kl")
    with choices, st.container(horizontal=True, vertical_alignment="center"):
        choose_part(scene)
elif not is_presented:
    with st.container(horizontal=True, vertical_alignment="center"):
        choose_part(scene)
if not sentence_inputs(scene):
    st.stop()
if not is_presented:
    with guarded("The sentence"):
        describe(scene)
words, draw = PARTS[part]
with guarded("The maps of this sentence"):
    draw(scene)
