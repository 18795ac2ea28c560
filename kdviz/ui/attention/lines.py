"""BertViz on the Attention page: lines between words as the package draws them, of both models."""

import numpy as np
import streamlit as st

from kdviz.analysis import filter_maps, kept_tokens
from kdviz.ui.attention.bertviz import bertviz_page
from kdviz.ui.attention.sentence import choose_pair, shown_sentence
from kdviz.ui.frame.controls import bound, moment_slider, switch
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.strip import Scene, moment_names
from kdviz.ui.frame.words import WORDS, moment_words

KINDS = {"bertviz": "Head view", "bertviz-model": "Model view"}


def bertviz(scene: Scene) -> None:
    """The head view of one layer, or the model view of all, of teacher and student."""
    kind = "bertviz-model" if scene.view.panel == "bertviz-model" else "bertviz"
    _controls(scene, kind)
    shown = shown_sentence(scene)
    student_layer, teacher_layer = scene.run.pairs[scene.pair]
    says = (
        "Move over a word; click a colour to leave a head out."
        if kind == "bertviz"
        else "Every head of every layer, layer 1 at the bottom; click one to enlarge it."
    )
    st.markdown(f"{says} {filter_note(scene, shown.tokens)}", help=WORDS["bertviz"])
    places = st.columns(2) if kind == "bertviz" else [st.container(), st.container()]
    options = {
        "hide_special": scene.view.hide_special,
        "renormalise": scene.view.hide_special and scene.view.renormalise,
        "threshold": scene.view.threshold,
    }
    for place, who, maps, layer, matched in zip(
        places,
        ("Teacher", "Student"),
        (shown.teacher_maps, shown.student_maps),
        (teacher_layer, student_layer),
        (tuple(pair[1] for pair in scene.run.pairs), tuple(pair[0] for pair in scene.run.pairs)),
        strict=True,
    ):
        with place, guarded(f"BertViz of the {who.lower()}"):
            is_asked = who == "Student" and shown.epoch is not None
            moment = f", {moment_words(shown.epoch)}" if is_asked else ""
            st.markdown(f"**{who}**" + (f", layer {layer + 1}" if kind == "bertviz" else "") + moment)
            left, tokens, _ = filter_maps(maps, shown.tokens, **options)
            html, height, note = bertviz_page(
                "head" if kind == "bertviz" else "model", left, tokens, layer, matched, scene.dark
            )
            if not np.isfinite(maps[layer] if kind == "bertviz" else maps).all():
                st.info(
                    "Some of these maps are not finite (the run diverged): their rows draw no lines.",
                    icon=":material/info:",
                )
            if note:
                st.info(note, icon=":material/info:")
            if html:
                st.iframe(html, height=height, alt=f"BertViz of the {who.lower()}")


def _controls(scene: Scene, kind: str) -> None:
    views, layer, moment, more = st.columns([2, 2, 3, 1], vertical_alignment="bottom")
    with views:
        bound(
            st.segmented_control,
            "View of BertViz",
            "panel",
            kind,
            key="bertviz.kind",
            options=list(KINDS),
            format_func=KINDS.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
    if kind == "bertviz":
        choose_pair(scene, layer)
    with moment:
        if scene.moment and not scene.is_own and scene.view.row is None:
            steps = [moment.step for moment in scene.run.moments]
            moment_slider(steps, moment_names(scene.run), scene.step, WORDS["moment"])
    with more, st.popover("Filters", icon=":material/tune:"):
        _filters(scene)


def _filters(scene: Scene) -> None:
    view = scene.view
    switch("Hide special tokens", "hide_special", view.hide_special, help=WORDS["hide"])
    switch(
        "Let the rest sum to 1 again",
        "renormalise",
        view.renormalise,
        disabled=not view.hide_special,
        help=WORDS["renormalise"],
    )
    bound(
        st.slider,
        "Leave links blank that are weaker than",
        "threshold",
        view.threshold,
        min_value=0.0,
        max_value=0.5,
        step=0.01,
        help=WORDS["threshold"],
    )


def filter_note(scene: Scene, tokens: tuple[str, ...]) -> str:
    """The filters in force, in words; "" where everything is shown."""
    view, parts = scene.view, []
    if view.hide_special and len(kept_tokens(tokens, hide_special=True)) < len(tokens):
        parts.append(
            "special tokens hidden, rows "
            + ("scaled to sum to 1" if view.renormalise else "sum to less than 1")
        )
    if view.threshold > 0:
        parts.append(f"links weaker than {view.threshold:g} left blank")
    return f"{'; '.join(parts)}." if parts else ""
