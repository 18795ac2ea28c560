"""The parts of the Attention page: maps, the same through training, BertViz."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kdviz.analysis import filter_maps, head_average, kept_tokens, pair_kl, row_kl
from kdviz.figures import attention_map, attention_maps, difference_map, matching_diagram, training_film
from kdviz.figures.maps import shared_maximum
from kdviz.ui.attention.bertviz import bertviz_page
from kdviz.ui.attention.sentence import Shown, film_of
from kdviz.ui.frame.controls import bound, switch
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import chart
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.state import change
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import WORDS, metric_title, primary_metric


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """One layer and head of both models as they are drawn: (query, key) maps, their tokens, KL per drawn
    row.
    """

    tokens: list[str]
    teacher_map: np.ndarray
    student_map: np.ndarray
    row_kl: np.ndarray
    note: str


def filters(scene: Scene) -> None:
    """The controls under *More*: what is left out of the maps."""
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


def filtered(
    scene: Scene, teacher_maps: np.ndarray, student_maps: np.ndarray, tokens: tuple[str, ...]
) -> Filtered:
    """What the view leaves of (heads, query, key) maps of one matched pair.

    The KL is that of the whole rows, before anything is left out: mean over the heads shown.
    """
    view = scene.view
    if view.head is None:
        teacher_map, student_map = head_average(teacher_maps), head_average(student_maps)
        rows = row_kl(teacher_maps, student_maps).mean(axis=0)
    else:
        teacher_map, student_map = teacher_maps[view.head], student_maps[view.head]
        rows = row_kl(teacher_map, student_map)
    options = {
        "hide_special": view.hide_special,
        "renormalise": view.hide_special and view.renormalise,
        "threshold": view.threshold,
    }
    shown_teacher, names, _ = filter_maps(teacher_map, tokens, **options)
    shown_student, _, kept = filter_maps(student_map, tokens, **options)
    return Filtered(
        tokens=names,
        teacher_map=shown_teacher,
        student_map=shown_student,
        row_kl=rows[kept],
        note=filter_note(scene, tokens),
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
    return "; ".join(parts) + "; KL of whole rows" if parts else ""


def maps(scene: Scene, shown: Shown) -> None:
    """Teacher, student and difference for the pair and head of the view, beside the diagram in which a click
    chooses the pair.
    """
    student_layer, teacher_layer = scene.run.pairs[scene.pair]
    part = filtered(scene, shown.teacher_maps[teacher_layer], shown.student_maps[student_layer], shown.tokens)
    diagram_place, maps_place = st.columns([1, 6], gap="small")
    with diagram_place:
        diagram = remembered(
            matching_diagram,
            len(shown.teacher_maps),
            len(shown.student_maps),
            scene.run.pairs,
            chosen=scene.pair,
            values=pair_kl(shown.teacher_maps, shown.student_maps, scene.run.pairs),
            strategy=scene.run.strategy,
            dark=scene.dark,
        )
        chart(
            diagram,
            "attention.matching",
            "Which student layer is matched with which teacher layer; a click chooses the pair",
            on_click=_choose_pair,
        )
    with maps_place:
        if scene.narrow:
            _one_below_the_other(scene, part, student_layer, teacher_layer)
            return
        figure = remembered(
            attention_maps,
            part.teacher_map,
            part.student_map,
            part.tokens,
            teacher_title=short_title(teacher_layer, scene.view.head),
            student_title=short_title(student_layer, scene.view.head),
            row_kl=part.row_kl,
            strategy=scene.run.strategy,
            note=part.note,
            dark=scene.dark,
        )
        chart(
            figure,
            "attention.maps",
            "Attention maps of teacher and student, their difference, and the KL of every row",
        )


def _one_below_the_other(scene: Scene, part: Filtered, student_layer: int, teacher_layer: int) -> None:
    """The same for a phone: each map as wide as the screen, one colour scale for both models."""
    st.markdown(f"**KL {part.row_kl.mean():.3f}** nats, mean of {len(part.row_kl)} rows. {part.note}")
    highest = shared_maximum(part.teacher_map, part.student_map)
    titles = short_title(teacher_layer, scene.view.head), short_title(student_layer, scene.view.head)
    figures = {
        "teacher": remembered(
            attention_map, part.teacher_map, part.tokens, title=titles[0], zmax=highest, dark=scene.dark
        ),
        "student": remembered(
            attention_map,
            part.student_map,
            part.tokens,
            title=titles[1],
            strategy=scene.run.strategy,
            zmax=highest,
            dark=scene.dark,
        ),
        "difference": remembered(
            difference_map,
            part.teacher_map,
            part.student_map,
            part.tokens,
            title=short_title(student_layer, scene.view.head),
            dark=scene.dark,
        ),
    }
    for name, figure in figures.items():
        chart(figure, f"attention.{name}", f"Attention map: {name}")


def short_title(layer: int, head: int | None) -> str:
    """ "layer 2 · head 3", 1-based: what fits over a map."""
    return f"layer {layer + 1} · " + ("mean of heads" if head is None else f"head {head + 1}")


def _choose_pair(points: list[dict]) -> None:
    data = points[0].get("customdata")
    if data:
        change(pair=int(data[0]))


def through_training(scene: Scene, shown: Shown) -> None:
    """The student's map at every moment, played in the browser: no request to the server from frame to
    frame.
    """
    run, view = scene.run, scene.view
    student_layer, teacher_layer = run.pairs[scene.pair]
    film = film_of(scene)
    if len(film.epochs) < 2:
        st.info("Only one moment is recorded for this sentence; the film needs two.", icon=":material/info:")
        return
    teacher_maps = shown.teacher_maps[teacher_layer]
    frames = [filtered(scene, teacher_maps, maps[student_layer], shown.tokens) for maps in film.student_maps]
    metric = primary_metric(run)
    evals = [line for line in run.evals if line["metrics"].get(metric) is not None]
    figure = remembered(
        training_film,
        frames[0].teacher_map,
        np.stack([frame.student_map for frame in frames]),
        frames[0].tokens,
        epochs=film.epochs,
        steps=film.steps,
        row_kl=np.stack([frame.row_kl for frame in frames]),
        teacher_title=short_title(teacher_layer, view.head),
        student_title=short_title(student_layer, view.head),
        attention_kl=np.stack([pair_kl(shown.teacher_maps, maps, run.pairs) for maps in film.student_maps]),
        pairs=run.pairs,
        chosen_pair=scene.pair,
        scores=[line["metrics"][metric] for line in evals],
        score_epochs=[line["epoch"] for line in evals],
        score_name=metric_title(metric),
        num_scored=evals[-1].get("n") if evals else None,
        teacher_score=evals[-1].get("teacher_metrics", {}).get(metric) if evals else None,
        strategy=run.strategy,
        active=int(np.argmin([abs(step - (scene.step or 0)) for step in film.steps])),
        narrow=scene.narrow,
        dark=scene.dark,
    )
    if frames[0].note:
        st.caption(frames[0].note)
    chart(
        figure,
        "attention.film",
        "The same maps through training, with the curves of attention KL and score; Play moves all of them",
    )


def bertviz_heads(scene: Scene, shown: Shown) -> None:
    """BertViz's head view of both models: lines between the words of one layer."""
    student_layer, teacher_layer = scene.run.pairs[scene.pair]
    st.markdown(
        "Lines between words; move over a word, click a colour to leave a head out. "
        f"{_filter_sentence(scene, shown)}",
        help=WORDS["bertviz"],
    )
    _both(scene, shown, "head", st.columns(2), (teacher_layer, student_layer))


def bertviz_model(scene: Scene, shown: Shown) -> None:
    """BertViz's model view of both models: every head of every layer as a thumbnail."""
    st.markdown(
        f"Every head of every layer; click one to enlarge it. {_filter_sentence(scene, shown)}",
        help=WORDS["bertviz"],
    )
    _both(scene, shown, "model", [st.container(), st.container()], (0, 0))


def _filter_sentence(scene: Scene, shown: Shown) -> str:
    note = filter_note(scene, shown.tokens).removesuffix("; KL of whole rows")
    return f"{note}." if note else ""


def _both(
    scene: Scene, shown: Shown, kind: str, places: list[DeltaGenerator], layers: tuple[int, int]
) -> None:
    """The view of the teacher in the first place, of the student in the second, each opened on its layer."""
    view = scene.view
    options = {
        "hide_special": view.hide_special,
        "renormalise": view.hide_special and view.renormalise,
        "threshold": view.threshold,
    }
    for place, who, maps, layer in zip(
        places, ("Teacher", "Student"), (shown.teacher_maps, shown.student_maps), layers, strict=True
    ):
        with place, guarded(f"BertViz of the {who.lower()}"):
            st.markdown(f"**{who}**")
            left, tokens, _ = filter_maps(maps, shown.tokens, **options)
            html, height, note = bertviz_page(kind, left, tokens, layer, scene.dark)
            if note:
                st.info(note, icon=":material/info:")
            if html:
                st.iframe(html, height=height, alt=f"BertViz of the {who.lower()}")
