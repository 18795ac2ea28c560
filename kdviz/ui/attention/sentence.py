"""The sentence looked at, with the maps of both models: a preset, an evaluation example, or one's own."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kdviz.errors import RequestError
from kdviz.runs.parts import Moment
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import can_be_asked, epochs_with_weights
from kdviz.share.view import MAX_TEXT_CHARACTERS, View, clean_text
from kdviz.tasks import TASKS
from kdviz.ui.attention.ask import ask_models
from kdviz.ui.frame import state
from kdviz.ui.frame.controls import bound, choose
from kdviz.ui.frame.examples import text_of, texts_of
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.shell import has_page, page_path
from kdviz.ui.frame.store import long_name, task_title
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import WORDS
from kdviz.visible import has_visible


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Maps of one sentence at one moment: (layers, heads, query, key) of both models. `epoch`: after which
    the student answered, where it was asked and the moment may be another.
    """

    tokens: tuple[str, ...]
    teacher_maps: np.ndarray
    student_maps: np.ndarray
    epoch: int | None = None


def shown_sentence(scene: Scene) -> Shown:
    """The sentence of the view. KeyError where its maps were not recorded, RequestError where they cannot be
    had.
    """
    if scene.is_own or scene.view.row is not None:
        return _asked(scene)
    return preset(scene)


def preset(scene: Scene) -> Shown:
    """The preset of the view at its moment, from the snapshots."""
    if scene.probe is None or scene.moment is None:
        raise RequestError(
            "Maps were not stored for this run, only its numbers; choose a run with maps."
            if scene.run.state == "finished"
            else "No maps yet: they come with the first recorded moment, in a few seconds."
        )
    if not any(moment.has_maps for moment in scene.run.moments):
        raise RequestError("Maps were not stored for this run, only its numbers; choose a run with maps.")
    return Shown(
        tokens=scene.probe.tokens,
        teacher_maps=scene.run.teacher_maps(scene.probe.id),
        student_maps=scene.run.student_maps(scene.step, scene.probe.id),
    )


def texts_of_view(scene: Scene) -> tuple[str, str | None, int | None]:
    """The texts that are to be asked about, and the right class where it is known."""
    if not scene.is_own:
        from kdviz.data import examples_of

        row, examples = scene.view.row, examples_of(scene.run)
        if row not in examples:
            raise RequestError(f"row {row} is not among this run's evaluation examples; choose another row")
        example = examples[row]
        if not has_visible(f"{example.text_a}{example.text_b or ''}"):
            raise RequestError(f"The text of row {row} is empty, so it has no maps; choose another row.")
        return example.text_a, example.text_b, example.label
    text_a, text_b = scene.view.text_a.strip(), (scene.view.text_b or "").strip()
    is_pair = is_pair_task(scene)
    if not has_visible(text_a) or (is_pair and not has_visible(text_b)):
        raise RequestError(
            "Write both sentences, then press Enter." if is_pair else "Write a sentence, then press Enter."
        )
    return text_a, text_b if is_pair else None, None


def _asked(scene: Scene) -> Shown:
    text_a, text_b, _ = texts_of_view(scene)
    epoch = nearest_epoch(scene.run, scene.moment)
    answer = ask_models(scene.run, text_a, text_b, epoch)
    return Shown(
        tokens=answer.tokens,
        teacher_maps=answer.teacher_maps,
        student_maps=answer.student_maps,
        epoch=epoch,
    )


def nearest_epoch(run: Run, moment: Moment | None) -> int:
    """The epoch whose kept weights answer at a moment of training; 0 where none are kept."""
    wanted = moment.epoch if moment else 0.0
    return min(epochs_with_weights(run), key=lambda epoch: abs(epoch - wanted), default=0)


def is_pair_task(scene: Scene) -> bool:
    if scene.run.task in TASKS:
        return TASKS[scene.run.task].is_pair
    return bool(scene.probe and scene.probe.text_b is not None)


def _is_pair(run: Run) -> bool:
    return run.task in TASKS and TASKS[run.task].is_pair


def sentence_inputs(scene: Scene) -> bool:
    """The boxes for one's own sentence or pair, or the choice of an evaluation example, where the view asks
    for one.

    False where the run keeps no weights and so cannot be asked: the way to one that can is shown instead.
    """
    view = scene.view
    if scene.is_own or view.row is not None:
        _draw_inputs(scene)
        return _has_weights(scene)
    return True


def _draw_inputs(scene: Scene) -> None:
    view = scene.view
    if scene.is_own:
        boxes = [("text_a", "First sentence" if is_pair_task(scene) else "Your sentence", view.text_a)]
        if is_pair_task(scene):
            boxes.append(("text_b", "Second sentence", view.text_b or ""))
        for column, (field, label, value) in zip(st.columns(len(boxes)), boxes, strict=True):
            with column:
                bound(
                    st.text_input,
                    label,
                    field,
                    value,
                    max_chars=MAX_TEXT_CHARACTERS,
                    placeholder="write and press Enter",
                    take=lambda text, field=field: {field: clean_text(text)},
                )
    else:
        rows, texts = scene.run.evaluated_rows, texts_of(scene.run)
        if view.row not in rows:
            rows = [view.row, *rows]
        choose(
            "Evaluation example",
            "row",
            rows,
            view.row,
            help="The number is its 0-based row in the evaluation split, header not counted.",
            format_func=lambda row: f"{row}: {text_of(texts[row], row)}" if row in texts else f"row {row}",
        )


def _has_weights(scene: Scene) -> bool:
    if can_be_asked(scene.run):
        return True
    st.info(
        "A new sentence needs the weights of both models, and this run does not keep them. The presets have "
        "stored maps; a run of your own takes about a minute.",
        icon=":material/info:",
    )
    askable = sorted(
        (run for run in scene.runs if can_be_asked(run)),
        key=lambda run: (run.task != scene.run.task, _is_pair(run) != _is_pair(scene.run)),
    )
    if askable and not state.is_following():
        other = askable[0]
        models = f"the {task_title(other.task)} models" if other.is_demo else f"the run {plain(other.id)}"
        st.button(
            f"Ask {models} instead",
            help=f"{plain(long_name(other))}: of that run the weights of both models are kept.",
            icon=":material/edit:",
            on_click=_ask_another,
            args=(other.id,),
        )
    if has_page("distil"):
        st.page_link(page_path("distil"), label="Start a run of your own", icon=":material/play_arrow:")
    return False


def _ask_another(run_id: str) -> None:
    text = state.current().text_a or ""
    state.look_at(View(run=run_id, text_a=text, text_b=state.current().text_b))


def describe(scene: Scene) -> None:
    """Why this sentence is worth looking at."""
    if not scene.is_own and scene.view.row is None and scene.probe:
        probe = scene.probe
        st.markdown(f":small[*{plain(probe.reason)}*. {plain(probe.look_for)}]")


def choose_pair(scene: Scene, place: DeltaGenerator) -> None:
    """The matched pair by drop-down list: what clicks do, for the keyboard."""
    names = [f"student {student + 1} ↔ teacher {teacher + 1}" for student, teacher in scene.run.pairs]
    with place:
        choose(
            "Layer",
            "pair",
            list(range(len(names))),
            scene.pair,
            format_func=names.__getitem__,
            help=WORDS["matching"],
        )
