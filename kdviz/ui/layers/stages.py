"""The stages of a run: what is in the loss when, as a film and in words."""

import streamlit as st

from kdviz.figures import stage_film
from kdviz.method.strategies import INTERNAL
from kdviz.palette import words_of
from kdviz.runs.reader import Run
from kdviz.share.view import same_moment
from kdviz.text import counted, plain
from kdviz.ui.frame.look import chart
from kdviz.ui.frame.others import natural_others
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.state import change, current
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import WORDS, in_words


def stages(scene: Scene) -> None:
    """What is in the loss when: the stages of the run as a film, and in words."""
    planned = [stage for stage in scene.run.config.get("stages", []) if isinstance(stage, dict)]
    if not planned:
        raise KeyError("stages")
    alike = [run for run in natural_others(scene) if run.strategy in INTERNAL]
    words = "; ".join(
        f"{place}. {stage.get('name')} ({counted(stage.get('epochs'), 'epoch')})"
        for place, stage in enumerate(planned, start=1)
    )
    st.markdown(f"Stages of this run, {in_words(scene.run.strategy)}: {plain(words)}.", help=WORDS["stages"])
    with st.container(horizontal=True):
        for run in alike:
            st.button(
                f"Stages of {words_of(run.strategy)}",
                key=f"stages.{run.id}",
                on_click=_look_at,
                args=(run, scene.run),
            )
    figure = remembered(
        stage_film,
        int(scene.run.config.get("teacher_num_layers", 0)),
        scene.run.num_layers,
        scene.run.pairs,
        planned,
        strategy=scene.run.strategy,
        dark=scene.dark,
    )
    chart(figure, "layers.stages", f"Stages of training by {words_of(scene.run.strategy)}: {words}")


def _look_at(run: Run, looked_at: Run) -> None:
    """The other run at the same moment of its training."""
    change(run=run.id, step=same_moment(run, looked_at, current().step))
