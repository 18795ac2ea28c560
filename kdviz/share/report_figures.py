"""The figures of a report, from the files of its runs, and how they travel in one HTML file."""

import base64
import gzip
import json
from collections.abc import Sequence
from functools import cache
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from kdviz.analysis import inside
from kdviz.figures import (
    RunCurves,
    Score,
    ScoreCurve,
    inside_scatter,
    layer_curves,
    matching_diagram,
    score_curves,
    scores_with_intervals,
    stage_film,
)
from kdviz.figures.curves import further_terms
from kdviz.metrics import METRIC_TITLES
from kdviz.palette import Style, run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import interval_of
from kdviz.runs.reader import Run
from kdviz.tasks import TASKS

START = """
const element = document.getElementById("kdviz-plotly");
const bytes = Uint8Array.from(atob(element.textContent.trim()), letter => letter.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const source = await new Response(stream).text();
const script = document.createElement("script");
script.textContent = source;
document.head.append(script);
for (const place of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(place.querySelector("script").textContent);
  const drawing = place.querySelector("[data-drawing]");
  const config = { displaylogo: false, responsive: true, toImageButtonOptions: { format: "svg" } };
  config.modeBarButtons = [["toImage"]];
  const { font } = figure.layout;
  figure.layout.modebar = { bgcolor: "transparent", color: font?.color, activecolor: font?.color };
  await window.Plotly.newPlot(drawing, { ...figure, config });
}
"""


def have_one_teacher(runs: Sequence[Run]) -> bool:
    """Whether what is said of the teacher is said of that of each run: the same, scored on as many
    examples.
    """
    return len({(run.config.get("teacher_fingerprint"), run.evals[-1]["n"]) for run in runs}) == 1


def curves_figure(runs: Sequence[Run]) -> go.Figure:
    """Attention KL and CLS distance of every matched pair over the epochs."""
    drawn = [
        RunCurves(
            run_id=run.id,
            label=name,
            strategy=run.strategy,
            epochs=[line["epoch"] for line in run.evals],
            steps=[line["step"] for line in run.evals],
            pairs=run.pairs,
            attention_kl=[line["mismatch"]["attention_kl"] for line in run.evals],
            cls_distance=[line["mismatch"]["cls_distance"] for line in run.evals],
            others=further_terms(run.evals, len(run.pairs)),
            stages=run.stage_starts,
            over=(run.evals[-1]["n"], "evaluation examples"),
        )
        for name, run in zip(distinct_names(runs), runs, strict=True)
    ]
    return layer_curves(drawn)


def score_figure(runs: Sequence[Run]) -> go.Figure:
    """The task's own metric after the last epoch: the teacher's and each student's, with the interval."""
    metric, last = TASKS[runs[0].task].primary_metric, runs[0].evals[-1]
    scores = []
    teacher = last["teacher_metrics"].get(metric)
    if have_one_teacher(runs) and teacher is not None:
        scores.append(Score(label="teacher", strategy="teacher", value=teacher))
    styles = run_styles([run.strategy for run in runs])
    for name, run, style in zip(distinct_names(runs), runs, styles, strict=True):
        low, high = interval_of(run.evals[-1], metric)
        value = run.evals[-1]["metrics"][metric]
        if value is not None:  # of a run that diverged
            scores.append(
                Score(
                    label=name,
                    strategy=run.strategy,
                    value=value,
                    low=low,
                    high=high,
                    num_examples=run.evals[-1]["n"],
                    style=style,
                )
            )
    return scores_with_intervals(scores, score_name=METRIC_TITLES[metric], num_examples=last["n"])


def score_curve_figure(runs: Sequence[Run]) -> go.Figure:
    """The task's own metric over the epochs."""
    metric = TASKS[runs[0].task].primary_metric
    curves = [
        ScoreCurve(
            label=name,
            strategy=run.strategy,
            epochs=[line["epoch"] for line in run.evals],
            values=[line["metrics"][metric] for line in run.evals],
            low=[interval_of(line, metric)[0] for line in run.evals],
            high=[interval_of(line, metric)[1] for line in run.evals],
            num_examples=run.evals[-1]["n"],
        )
        for name, run in zip(distinct_names(runs), runs, strict=True)
    ]
    last = runs[0].evals[-1]
    return score_curves(
        curves,
        score_name=METRIC_TITLES[metric],
        num_examples=last["n"],
        teacher_score=last["teacher_metrics"].get(metric) if have_one_teacher(runs) else None,
    )


def inside_figure(
    runs: Sequence[Run], names: Sequence[str], styles: Sequence[Style] | None = None
) -> go.Figure:
    """Output KL against attention KL of the examples of the last evaluation, of one run or two. `styles`:
    what they wear in the other figures. KeyError where none is kept, or none has finite numbers.
    """
    drawn = []
    for name, run in zip(names, runs, strict=True):
        if not run.evaluated_epochs:
            raise KeyError("evaluations")
        answers = run.evaluation(run.evaluated_epochs[-1])
        seen = inside(answers.index, answers.teacher_logits, answers.student_logits, answers.attention_kl)
        if not len(seen.index):
            raise KeyError("finite numbers")
        drawn.append((name, run.strategy, seen))
    return inside_scatter(drawn, styles=styles)


def stages_figure(run: Run) -> go.Figure:
    """Which layers learn from which, stage by stage; one picture where there is one stage."""
    stages = [stage for stage in run.config.get("stages", []) if isinstance(stage, dict)]
    depth = int(run.config["teacher_num_layers"])
    if len(stages) > 1:
        return stage_film(depth, run.num_layers, run.pairs, stages, strategy=run.strategy)
    stage = stages[0] if stages else {"layers": range(run.num_layers), "classification": "none"}
    return matching_diagram(
        depth,
        run.num_layers,
        run.pairs,
        active=stage["layers"],
        classification=stage["classification"],
        strategy=run.strategy,
    )


# ---- how they travel


def figure_html(figure: go.Figure, name: str) -> str:
    """A figure as its numbers, drawn when the file is opened; `name` says what it shows."""
    text = json.dumps(json.loads(figure.to_json()), allow_nan=False, default=_plain).replace("<", "\\u003c")
    return (
        f'<figure data-figure role="group" aria-label="{escape(name, quote=True)}">'
        f'<script type="application/json">{text}</script><div data-drawing></div>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


@cache
def drawing_scripts() -> str:
    """Plotly, compressed to a third, and what draws every figure of the file; once, at its end."""
    packed = base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
    return (
        f'<script type="text/plain" id="kdviz-plotly">{packed}</script><script type="module">{START}</script>'
    )


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(type(value).__name__)
