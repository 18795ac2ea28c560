"""The curves of a run as they grow: the layers being trained, how near they have come, the loss."""

from functools import lru_cache

import plotly.graph_objects as go
import streamlit as st

from kdviz.figures.curves import RunCurves, layer_curves
from kdviz.figures.diagram import matching_diagram
from kdviz.figures.loss_curves import loss_curves
from kdviz.runs.names import short_name
from kdviz.runs.parts import thinned
from kdviz.runs.reader import Run
from kdviz.share.live import MOST_POINTS, mismatch_so_far
from kdviz.text import decimals
from kdviz.ui.frame.look import chart, is_dark
from kdviz.ui.frame.narrow import for_phone, panels_of
from kdviz.ui.frame.screen import is_narrow

LINES_PER_DRAWING = 10


def run_curves(run: Run) -> None:
    """What is trained as a picture, how near the layers have come, and the terms of the loss."""
    num_stages, num_moments, num_losses, dark = (
        len(run.stage_lines),
        len(run.probe_lines),
        len(run.train_lines),
        is_dark(),
    )
    if num_moments:
        left, right = st.columns([1, 2.4], gap="medium")
        with left:
            is_running = run.state == "running"
            chart(
                _stage_figure(run, num_stages, num_moments, is_running, dark),
                "distil.stage",
                f"{_words_of_trained(run, is_running)}. On the lines the attention KL of every pair",
            )
        with right:
            _charts(
                _kl_figures(run, num_moments, dark, is_narrow()),
                "distil.kl",
                "Attention KL and CLS distance of every matched pair over training, on the preset sentences",
            )
    if num_losses > 1:
        st.markdown(
            "**Loss in training**, term by term; their weighted sum is now "
            f"{decimals(run.train_lines[-1].get('loss'))}",
            help="What the student is trained to lower, on the training examples. A term that a stage does "
            "not use has no line in it.",
        )
        # Streamlit builds a chart with new data anew, so it blinks: the number is of now, the lines follow in
        # steps.
        age = (
            (num_moments, num_losses // LINES_PER_DRAWING)
            if run.state == "running"
            else (num_moments, num_losses)
        )
        _charts(_loss_figures(run, age, dark, is_narrow()), "distil.loss", "Terms of the loss over training")


def _charts(figures: tuple[go.Figure, ...], key: str, name: str) -> None:
    for number, figure in enumerate(figures):
        chart(figure, f"{key}.{number}", name)


def _trained(run: Run, is_running: bool) -> tuple[list[int], str]:
    """The student layers whose pairs are in the loss, and the classification term, of the stage of now; once
    training is over, of all stages that there were. A run that wrote none had those planned.
    """
    begun, planned = [line["stage"] for line in run.stage_lines], run.config.get("stages") or []
    stages = begun or (planned[:1] if is_running else planned)
    if is_running:
        stages = stages[-1:]
    layers = sorted({layer for stage in stages for layer in stage["layers"]})
    return layers, stages[-1]["classification"] if stages else "none"


def _words_of_trained(run: Run, is_running: bool) -> str:
    layers, _ = _trained(run, is_running)
    if not layers:
        return "No layer is being matched now" if is_running else "No layer was matched in training"
    named = f"layer{'s' * (len(layers) > 1)} {', '.join(str(layer + 1) for layer in layers)}"
    return f"Student {named} {'being matched now' if is_running else 'matched in training'}"


@lru_cache(maxsize=16)
def _stage_figure(run: Run, num_stages: int, num_moments: int, is_running: bool, dark: bool):
    """The matching with what is trained; the layers' last attention KL on its lines."""
    layers, classification = _trained(run, is_running)
    return _written_once(
        matching_diagram(
            int(run.config["teacher_num_layers"]),
            run.num_layers,
            run.pairs,
            active=layers,
            classification=classification,
            values=mismatch_so_far(run).attention_kl[-1].tolist(),
            strategy=run.strategy,
            dark=dark,
        )
    )


@lru_cache(maxsize=16)
def _loss_figures(run: Run, age: tuple[int, int], dark: bool, narrow: bool) -> tuple[go.Figure, ...]:
    """Drawn once for all browsers; `age` says when it is out of date."""
    return _panels(
        loss_curves(
            thinned(run.train_lines, MOST_POINTS),
            run.pairs,
            strategy=run.strategy,
            stages=run.stage_starts,
            dark=dark,
        ),
        narrow,
    )


@lru_cache(maxsize=16)
def _kl_figures(run: Run, num_lines: int, dark: bool, narrow: bool) -> tuple[go.Figure, ...]:
    seen = mismatch_so_far(run)
    curves = RunCurves(
        run_id=run.id,
        label=short_name(run),
        strategy=run.strategy,
        epochs=seen.epochs,
        steps=seen.steps,
        pairs=run.pairs,
        attention_kl=seen.attention_kl,
        cls_distance=seen.cls_distance,
        others=seen.others,
        stages=run.stage_starts,
    )
    return _panels(layer_curves([curves], over=f"{len(run.probes)} preset sentences", dark=dark), narrow)


def _panels(figure: go.Figure, narrow: bool) -> tuple[go.Figure, ...]:
    """The figure, or for a narrow screen its panels one below the other; a panel without a line is left out
    there.
    """
    if not narrow:
        return (_written_once(figure),)
    return tuple(_written_once(for_phone(panel)) for panel in panels_of(figure) if panel.data)


def _written_once(figure: go.Figure) -> go.Figure:
    """The figure with its dictionary made now: plotly copies it anew for every browser else, most of a
    rerun's time.
    """
    written = figure.to_dict()
    figure.to_dict = lambda: written
    return figure
