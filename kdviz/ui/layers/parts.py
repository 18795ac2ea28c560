"""The parts of the Layers page: curves, all heads, partners of heads, CKA."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from kdviz.analysis import HeadMatch, head_drift, head_kl_matrix, match_heads, pair_kl_heads
from kdviz.analysis.cka import FEW_EXAMPLES
from kdviz.errors import RequestError
from kdviz.figures import RunCurves, cka_film, head_drift_chart, head_matching, heads_overview, layer_curves
from kdviz.figures.curves import further_terms
from kdviz.palette import Style, run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import thinned
from kdviz.runs.reader import Run
from kdviz.share.view import epoch_at
from kdviz.text import counted
from kdviz.ui.attention.sentence import choose_pair
from kdviz.ui.frame.controls import bound, boxed
from kdviz.ui.frame.look import chart, charts, heading
from kdviz.ui.frame.others import choose_others, other_runs, say
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.state import change, go_to
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import AXES, OVER

MOST_ASSIGNED = 60
"""Moments at which partners are looked for: each costs reading all presets' maps, and an assignment."""


def more(scene: Scene) -> None:
    """The controls under *More*."""
    bound(
        st.radio, "Averaged over", "over", scene.view.over, options=list(OVER), format_func=OVER.__getitem__
    )
    bound(st.radio, "Along", "axis", scene.view.axis, options=list(AXES), format_func=AXES.__getitem__)


def curves(scene: Scene) -> None:
    """Attention KL and CLS distance of every matched pair, several runs overlaid."""
    others, notices = other_runs(scene)
    with boxed("What is compared"):
        choose_others(scene, others)
    say(notices)
    runs = [scene.run, *others]
    st.markdown(
        "Each line is one student layer against its teacher layer: **lower is closer, 0 is identical**. "
        "Click a point to see the maps of that layer at that moment."
        + (
            " Dotted lines mark where a stage begins; the layers active in it are named above."
            if any(stage_begins(run) for run in runs)
            else ""
        )
    )
    styles = run_styles([run.strategy for run in runs])
    drawn = [
        _curves_of(run, name, scene.view.over, style)
        for run, name, style in zip(runs, distinct_names(runs), styles, strict=True)
    ]
    if any(each.cls_distance.size and np.isnan(each.cls_distance).all() for each in drawn if each):
        st.caption(
            "CLS distance is missing where teacher and student hand on vectors of different widths: between "
            "those there is no angle."
        )
    figure = remembered(
        layer_curves,
        [each for each in drawn if each is not None],
        axis=scene.view.axis,
        shown_epoch=scene.moment.epoch if scene.moment else None,
        chosen_pair=scene.view.pair,
        dark=scene.dark,
    )
    charts(
        figure,
        "layers.curves",
        "Attention KL and CLS distance of every matched pair through training",
        on_click=lambda points: _to_maps(scene, points),
    )


def _curves_of(run: Run, name: str, over: str, style: Style) -> RunCurves | None:
    is_presets = over == "presets" or not run.evals
    lines = run.probe_lines if is_presets else run.evals
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
        others=further_terms(lines, len(run.pairs)),
        stages=stage_begins(run),
        over=(len(run.probes), "presets") if is_presets else (lines[-1]["n"], "evaluation examples"),
        planned_epochs=None if run.state == "finished" else run.config.get("epochs"),
        style=style,
    )


def stage_begins(run: Run) -> list[tuple[float, str]]:
    """(epoch at which it begins, what is active in it) of the stages that began so far; of those planned
    where the run wrote none.
    """
    if run.stage_lines:
        begins = [(float(line["epoch"]), _active(line["stage"])) for line in run.stage_lines]
    else:
        begins, epoch = [], 0.0
        for stage in run.config.get("stages", ()):
            begins.append((epoch, _active(stage)))
            epoch += float(stage.get("epochs") or 0)
    return begins if len(begins) > 1 else []


def _active(stage: dict) -> str:
    """The active layers of a stage, 1-based and short: `1+2`, or `labels`."""
    return "+".join(str(int(layer) + 1) for layer in stage.get("layers", ())) or "labels"


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


def heads(scene: Scene) -> None:
    """Every head of every matched pair by its KL."""
    st.markdown(
        "One cell is one head of one matched pair: **the stronger the colour, the farther from the "
        "teacher**. Click a cell to see its maps."
    )
    kl, over = _heads_kl(scene)
    chosen = None if scene.view.head is None else (scene.pair, scene.view.head)
    figure = remembered(
        heads_overview, kl, scene.run.pairs, over=over, chosen=chosen, narrow=scene.narrow, dark=scene.dark
    )
    chart(figure, "layers.heads", "Attention KL of every head of every matched pair", on_click=_to_head)


def _heads_kl(scene: Scene) -> tuple[np.ndarray, str]:
    """((pairs, heads) in nats, over what) at the view's moment."""
    run = scene.run
    if scene.view.over == "presets" or not run.evals:
        probes = [
            (run.teacher_maps(probe.id), run.student_maps(scene.step, probe.id)) for probe in run.probes
        ]
        return np.mean(
            [pair_kl_heads(teacher, student, run.pairs) for teacher, student in probes], axis=0
        ), counted(len(probes), "preset")
    epoch = epoch_at(run, scene.step)
    line = next((line for line in run.evals if int(line["epoch"]) == epoch), None)
    if line is None:
        raise KeyError("evaluations")
    return np.array(
        line["mismatch"]["attention_kl_heads"], dtype=float
    ), f"{counted(line.get('n', 0), 'evaluation example')}, epoch {epoch}"


def _to_head(points: list[dict]) -> None:
    data = points[0].get("customdata")
    if data:
        change(pair=int(data[0]), head=int(data[1]), panel="maps")
        go_to("attention")


def partners(scene: Scene) -> None:
    """Which student head does the work of which teacher head, and how that changes through training."""
    run, place = scene.run, st.columns([1, 3])[0]
    choose_pair(scene, place)
    st.markdown(
        "Heads have no order, so a student's head 3 may do the work of the teacher's head 7. Rows are the "
        "teacher's heads; the student's are put in the order of their "
        "**best partners**, so the best assignment lies on the diagonal."
    )
    steps = tuple(moment.step for moment in run.moments if moment.has_maps)
    if not steps or scene.step not in steps or not run.probes:
        raise RequestError("Maps were not stored for this run, only its numbers; choose a run with maps.")
    pair = run.pairs[scene.pair]
    probes, created = tuple(probe.id for probe in run.probes), str(run.config.get("created"))
    steps = tuple(sorted({*thinned(steps, MOST_ASSIGNED), scene.step}))
    found = {step: _head_matrix(run.folder, created, pair, step, probes) for step in steps}
    assigned = {step: each for step, each in found.items() if each is not None}
    if scene.step not in assigned:
        raise RequestError(
            f"The maps of step {scene.step} are not finite, so no partners can be found there; choose "
            "another moment."
        )
    matrix, match = assigned[scene.step]
    matches = [match for _, match in assigned.values()]
    figure = remembered(
        head_matching,
        matrix,
        match,
        pair=pair,
        over=counted(len(run.probes), "preset"),
        narrow=scene.narrow,
        dark=scene.dark,
    )
    chart(
        figure,
        "layers.partners",
        "KL of every teacher head against every student head, with the best assignment",
    )
    if left_out := len(found) - len(assigned):
        st.caption(f"Left out: {counted(left_out, 'moment')} at which the maps are not finite.")
    if not any(match.moved for match in matches):
        st.info(
            "Every head is its own best partner, from the first moment to the last."
            + (
                " The student began with the teacher's own layers, so each head began in its place, and "
                "training left it there; one that begins with random weights has to find its partners."
                if run.config.get("init") != "random" and not run.config.get("student_checkpoint")
                else ""
            ),
            icon=":material/info:",
        )
        return
    heading("Partners through training", "drift")
    epochs = [moment.epoch for moment in run.moments if moment.step in assigned]
    drift = remembered(
        head_drift_chart,
        epochs,
        head_drift(matches),
        [match.matched_kl for match in matches],
        [match.same_index_kl for match in matches],
        num_heads=run.num_heads,
        strategy=run.strategy,
        dark=scene.dark,
    )
    charts(
        drift,
        "layers.drift",
        "Heads that changed their partner, and the total KL with best and same-index partners, through "
        "training",
    )


@lru_cache(maxsize=1024)
def _head_matrix(
    folder: Path, created: str, pair: tuple[int, int], step: int, probe_ids: tuple[str, ...]
) -> tuple[np.ndarray, HeadMatch] | None:
    """At one step: ((teacher heads, student heads) in nats, the best assignment); None where its maps are not
    finite.
    """
    run = Run(folder)
    teacher = [run.teacher_maps(probe)[pair[1]] for probe in probe_ids]
    matrix = head_kl_matrix(teacher, [run.student_maps(step, probe)[pair[0]] for probe in probe_ids])
    if not np.isfinite(matrix).all():
        return None
    return matrix, match_heads(matrix)


def cka(scene: Scene) -> None:
    """Which teacher layer each student layer is most alike."""
    lines = [line for line in scene.run.evals if line.get("cka")]
    if not lines:
        raise KeyError("cka")
    st.markdown(
        "Attention says where a layer looks; CKA says **what it represents**. 1 is alike, 0 unrelated. A "
        "dot marks the teacher layer that a student layer is most alike; "
        "a frame marks the one it is matched with."
    )
    epoch = epoch_at(scene.run, scene.step)
    epochs = [int(line["epoch"]) for line in lines]
    figure = remembered(
        cka_film,
        [np.array(line["cka"], dtype=float) for line in lines],
        epochs,
        scene.run.pairs,
        over=counted(lines[-1].get("n", 0), "evaluation example"),
        active=epochs.index(epoch) if epoch in epochs else -1,
        dark=scene.dark,
    )
    chart(figure, "layers.cka", "Linear CKA of every student layer with every teacher layer over the epochs")
    if lines[-1]["n"] < FEW_EXAMPLES:
        st.caption(
            f"Over {counted(lines[-1]['n'], 'example')} unrelated layers come out alike too: compare the "
            "cells with each other, not with 0."
        )
