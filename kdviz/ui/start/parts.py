"""The parts of the Start page."""

import plotly.graph_objects as go
import streamlit as st

from kdviz.analysis.comparable import comparable
from kdviz.figures import ScoreCurve, attention_map, score_curves
from kdviz.runs.reader import Run
from kdviz.ui.attention.parts import filtered
from kdviz.ui.attention.sentence import preset
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import chart
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.scores import INTERNAL, by_strategy, score_text, spread_text, verdict
from kdviz.ui.frame.shell import has_page, page_path
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import WORDS, decimals, mean_of, metric_title, primary_metric

FIGURE_PIXELS = 350


def meaning(has_runs: bool) -> None:
    """What distillation is, in two sentences."""
    st.markdown(
        "**Knowledge distillation** lets a large trained model, the *teacher*, train a smaller one, the "
        "*student*. "
        "Copying its answers is not all there is: *internal* distillation also makes the student **look "
        "where the teacher looks**, layer by layer.",
        help=WORDS["distillation"],
    )
    if not has_runs:
        st.info(
            "Nothing has been trained here yet. *Run your own* trains a teacher and a student on this "
            "computer; the first numbers come within seconds."
        )


def doors(has_runs: bool) -> None:
    """Explore what is there, or start a run."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Explore", type="primary", disabled=not has_runs, icon=":material/travel_explore:"):
            st.switch_page(page_path("attention"))
        if has_page("distil") and st.button("Run your own", icon=":material/play_arrow:"):
            st.switch_page(page_path("distil"))


def result(scene: Scene) -> None:
    """One stored result: both maps of a preset, the way the attention KL went, and the scores."""
    family = comparable(scene.run, scene.runs)
    metric = primary_metric(scene.run)
    rows = by_strategy(family, metric)
    st.markdown(
        verdict(rows, metric)
        or f"This is a run by `{scene.run.strategy}`. Compare it with other strategies by running them on "
        "the same data."
    )
    maps_place, curve_place, score_place = st.columns([5, 3, 3], gap="small")
    with maps_place, guarded("The maps of this sentence"):
        _maps(scene)
    with curve_place, guarded("The curves"):
        _kl_curves(scene, family)
    with score_place, guarded("The scores"):
        _scores(scene, rows, metric)


def _maps(scene: Scene) -> None:
    shown = preset(scene)
    student_layer, teacher_layer = scene.run.pairs[scene.pair]
    part = filtered(scene, shown.teacher_maps[teacher_layer], shown.student_maps[student_layer], shown.tokens)
    highest = float(max(part.teacher_map.max(), part.student_map.max()))
    places = st.columns(2, gap="small")
    for place, who, layer, layers, values, strategy in (
        (places[0], "teacher", teacher_layer, len(shown.teacher_maps), part.teacher_map, None),
        (places[1], "student", student_layer, len(shown.student_maps), part.student_map, scene.run.strategy),
    ):
        title = f"layer {layer + 1} of {layers}"
        figure = remembered(
            _small_map, values, part.tokens, title=title, strategy=strategy, zmax=highest, dark=scene.dark
        )
        with place:
            chart(figure, f"start.{who}", f"Attention map of the {who}")


def _small_map(*values: object, **settings: object) -> go.Figure:
    return attention_map(*values, **settings).update_layout(height=FIGURE_PIXELS)


def _small_curves(curves: list[ScoreCurve], num_examples: int, **settings: object) -> go.Figure:
    figure = score_curves(
        curves, score_name="attention KL (nats)", num_examples=num_examples, **settings
    ).update_layout(height=FIGURE_PIXELS)
    figure.layout.annotations[0].text = f"<b>Attention KL</b>, nats · n = {num_examples:,}"
    return figure


def _kl_curves(scene: Scene, family: list[Run]) -> None:
    """Soft labels against one internal strategy: the run looked at where it is one, else the first there
    is.
    """
    same_seed = [run for run in family if run.seed == scene.run.seed and run.evals]
    soft = next((run for run in same_seed if run.strategy == "soft"), None)
    internal = (
        scene.run
        if scene.run.strategy in INTERNAL
        else next((run for run in same_seed if run.strategy in INTERNAL), scene.run)
    )
    runs = list({run.id: run for run in (soft, internal) if run is not None}.values())
    curves = [
        ScoreCurve(
            label=run.strategy,
            strategy=run.strategy,
            epochs=[line["epoch"] for line in run.evals],
            values=[mean_of(line["mismatch"]["attention_kl"]) for line in run.evals],
        )
        for run in runs
    ]
    examples = int(internal.evals[-1].get("n", 0)) if internal.evals else 0
    shown = scene.moment.epoch if scene.moment else None
    figure = remembered(_small_curves, curves, examples, shown_epoch=shown, dark=scene.dark)
    chart(figure, "start.kl", "Attention KL of soft labels and of internal distillation over the epochs")


def _scores(scene: Scene, rows: list, metric: str) -> None:
    teacher = scene.run.evals[-1].get("teacher_metrics", {}).get(metric) if scene.run.evals else None
    lines = [f"| | {metric_title(metric)} | KL |", "|---|---|---|"]
    if teacher is not None:
        lines.append(f"| **teacher** | {teacher:.2f} | |")
    lines += [f"| `{row.strategy}` | {score_text(row)} | {decimals(row.attention_kl, 2)} |" for row in rows]
    st.markdown("\n".join(lines))
    st.caption(spread_text(rows) + ". KL: nats, mean of layers")
