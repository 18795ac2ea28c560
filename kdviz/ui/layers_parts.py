"""The parts of the Layers page: curves, all heads, partners of heads, CKA."""

import numpy as np
import streamlit as st

from kdviz.figures import RunCurves, layer_curves
from kdviz.runs import Run
from kdviz.ui.controls import bound
from kdviz.ui.look import chart
from kdviz.ui.others import choose_others, other_runs, say
from kdviz.ui.state import change, go_to
from kdviz.ui.store import distinct_names
from kdviz.ui.strip import Scene
from kdviz.ui.words import AXES, OVER, count


def more(scene: Scene) -> None:
    """The controls under *More*."""
    bound(st.radio, "Averaged over", "over", scene.view.over, options=list(OVER), format_func=OVER.__getitem__)
    bound(st.radio, "Along", "axis", scene.view.axis, options=list(AXES), format_func=AXES.__getitem__)


def curves(scene: Scene) -> None:
    """Attention KL and CLS distance of every matched pair, several runs overlaid."""
    others, notices = other_runs(scene)
    choose_others(scene, others)
    say(notices)
    runs = [scene.run, *others]
    st.markdown(
        "Each line is one student layer against its teacher layer: **lower is closer, 0 is identical**. "
        "A vertical line marks the moment in sight or the begin of a stage. Click a point to see the maps of that layer at that moment."
    )
    drawn = [_curves_of(run, name, scene.view.over) for run, name in zip(runs, distinct_names(runs), strict=True)]
    figure = layer_curves(
        [each for each in drawn if each is not None],
        over=_over(scene),
        relative=scene.view.axis == "progress",
        shown_epoch=scene.moment.epoch if scene.moment else None,
        chosen_pair=scene.view.pair,
        dark=scene.dark,
    )
    chart(figure, "layers.curves", "Attention KL and CLS distance of every matched pair through training", on_click=lambda points: _to_maps(scene, points))


def _over(scene: Scene) -> str:
    if scene.view.over == "presets":
        return f"{len(scene.run.probes)} presets"
    return f"{count(scene.run.evals[-1].get('n', 0) if scene.run.evals else 0)} evaluation examples"


def _curves_of(run: Run, name: str, over: str) -> RunCurves | None:
    lines = run.probe_lines if over == "presets" or not run.evals else run.evals
    if not lines:
        return None
    return RunCurves(
        run_id=run.id,
        label=name,
        strategy=run.strategy,
        epochs=[float(line["epoch"]) for line in lines],
        steps=[int(line["step"]) for line in lines],
        pairs=run.pairs,
        attention_kl=np.array([line["mismatch"]["attention_kl"] for line in lines], dtype=float),
        cls_distance=np.array([line["mismatch"]["cls_distance"] for line in lines], dtype=float),
        stages=stage_begins(run),
    )


def stage_begins(run: Run) -> list[tuple[float, str]]:
    """(epoch at which it begins, name) of the stages that began so far; of those planned where the run wrote none."""
    if run.stage_lines:
        return [(float(line["epoch"]), str(line["stage"].get("name", ""))) for line in run.stage_lines]
    begins, epoch = [], 0.0
    for stage in run.config.get("stages", ()):
        begins.append((epoch, str(stage.get("name", ""))))
        epoch += float(stage.get("epochs") or 0)
    return begins if len(begins) > 1 else []


def _to_maps(scene: Scene, points: list[dict]) -> None:
    """A click on a curve: the maps of that run, layer and moment."""
    data = points[0].get("customdata")
    if not data:
        return
    run = next((run for run in scene.runs if run.id == data[0]), None)
    if run is None:
        return
    steps = [moment.step for moment in run.moments]
    step = min(steps, key=lambda step: abs(step - int(data[2]))) if steps else None
    change(run=run.id, pair=int(data[1]), step=step, panel="maps")
    go_to("attention")
