"""One run as one HTML file that needs nothing else: maps, curves, scores, settings. Every text in it is
escaped.
"""

from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from kdviz.analysis.divergence import divergence
from kdviz.errors import RequestError
from kdviz.explorer import embed, head, scripts
from kdviz.explorer.source import preset_pack
from kdviz.figures import (
    RunCurves,
    Score,
    ScoreCurve,
    layer_curves,
    score_curves,
    scores_with_intervals,
)
from kdviz.figures.curves import further_terms
from kdviz.runs.reader import Run
from kdviz.tasks import METRIC_TITLES, TASKS

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1B1F24; background: #FFFFFF; max-width: 1180px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
table { border-collapse: collapse; }
td, th { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #E3E6EA; }
.banner { background: #F5F6F8; padding: .6rem 1rem; border-radius: .4rem; } .sentence { font-style: italic; }
"""
LEFT_OUT = {"data", "data_dir", "versions", "stages", "pairs", "labels", "metrics", "owner", "planned"}


def report(run: Run) -> str:
    """The report of `run` as HTML. ValueError where the run has no evaluation yet."""
    if not run.evals:
        raise ValueError(
            f"a run with at least one evaluation was expected, got {run.id!r} without; let it run longer"
        )
    task = TASKS[run.task]
    parts = [
        f"<h1>{escape(task.title)}: a student of {run.num_layers} layers by "
        f"<code>{escape(run.strategy)}</code></h1>",
        f'<p class="banner">{escape(_banner(run))}</p>',
        *_diverged(run),
        "<h2>Where teacher and student look</h2>",
        *_pictures(run),
        "<h2>Scores</h2>",
        _scores(run),
        "<h2>Layer by layer, epoch by epoch</h2>",
        _figure(_layer_curves(run)),
        "<h2>Score over the epochs</h2>",
        _figure(_score_curve(run)),
        "<h2>Settings</h2>",
        _settings(run),
    ]
    top = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>kdviz: '
        f"{escape(run.id)}</title>{head(follows_dark=False)}<style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
    )
    return f"{top}<body>{''.join(parts)}</body></html>\n"


def _banner(run: Run) -> str:
    data, last = run.config["data"], run.evals[-1]
    source = "sample data, not GLUE" if run.is_sample_data else str(data.get("note") or data.get("source"))
    return (
        f"{source}. {data['num_train']:,} training and {data['num_eval']:,} evaluation examples, "
        f"{last['epoch']} of {run.config['epochs']} epochs, {last['step']:,} steps, "
        f"one seed ({run.seed}), run {run.state}, begun {run.config.get('created')}. Intervals are 95 % "
        "bootstrap intervals over the evaluation examples."
    )


def _diverged(run: Run) -> list[str]:
    reason = divergence(run)
    words = f"This training diverged: {reason}. Its numbers are no result." if reason else ""
    return [f'<p class="banner"><strong>{escape(words)}</strong></p>'] if reason else []


def _scores(run: Run) -> str:
    first, last = run.evals[0], run.evals[-1]
    rows = [
        "<tr><th></th><th>teacher</th><th>student</th><th>95 % interval</th><th>student before "
        "training</th></tr>"
    ]
    for name, value in last["metrics"].items():
        low, high = last["intervals"][name]
        rows.append(
            f"<tr><td>{METRIC_TITLES[name]}</td><td>{last['teacher_metrics'][name]:.3f}</td>"
            f"<td>{value:.3f}</td><td>{low:.3f} to {high:.3f}</td><td>{first['metrics'][name]:.3f}</td></tr>"
        )
    rows.append(
        "<tr><td>Agreement with the "
        f"teacher</td><td></td><td>{last['agreement']:.3f}</td><td></td><td>{first['agreement']:.3f}</td></tr>"
    )
    cost = run.summary.get("cost")
    if cost:
        rows.append(
            f"<tr><td>Parameters</td><td>{cost['teacher_parameters']:,}</td><td>{cost['student_parameters']:,}</td><td></td><td></td></tr>"
        )
        rows.append(
            "<tr><td>Milliseconds for a sentence, where it was "
            f"trained</td><td>{cost['teacher_ms_per_sentence']:.1f}</td><td>{cost['student_ms_per_sentence']:.1f}</td><td></td><td></td></tr>"
        )
    metric = TASKS[run.task].primary_metric
    low, high = last["intervals"][metric]
    figure = scores_with_intervals(
        [
            Score(label="teacher", strategy="teacher", value=last["teacher_metrics"][metric]),
            Score(
                label=run.strategy, strategy=run.strategy, value=last["metrics"][metric], low=low, high=high
            ),
        ],
        score_name=METRIC_TITLES[metric],
        num_examples=last["n"],
    )
    return f"<table>{''.join(rows)}</table>{_figure(figure)}"


def _layer_curves(run: Run) -> go.Figure:
    evals = run.evals
    curves = RunCurves(
        run_id=run.id,
        label=run.strategy,
        strategy=run.strategy,
        epochs=[line["epoch"] for line in evals],
        steps=[line["step"] for line in evals],
        pairs=run.pairs,
        attention_kl=[line["mismatch"]["attention_kl"] for line in evals],
        cls_distance=[line["mismatch"]["cls_distance"] for line in evals],
        others=further_terms(evals, len(run.pairs)),
        stages=[(line["epoch"], line["stage"]["name"]) for line in run.stage_lines],
    )
    return layer_curves([curves], over=f"{evals[-1]['n']:,} evaluation examples")


def _score_curve(run: Run) -> go.Figure:
    metric, evals = TASKS[run.task].primary_metric, run.evals
    curve = ScoreCurve(
        label=run.strategy,
        strategy=run.strategy,
        epochs=[line["epoch"] for line in evals],
        values=[line["metrics"][metric] for line in evals],
        low=[line["intervals"][metric][0] for line in evals],
        high=[line["intervals"][metric][1] for line in evals],
    )
    return score_curves(
        [curve],
        score_name=METRIC_TITLES[metric],
        num_examples=evals[-1]["n"],
        teacher_score=evals[-1]["teacher_metrics"][metric],
    )


def _pictures(run: Run) -> list[str]:
    """The explorer with every preset: maps, curves, moments, as on the page."""
    sentences = []
    for probe in run.probes:
        try:
            sentences.append((f"{probe.title}: {probe.text_a}", [preset_pack(run, probe)]))
        except (KeyError, RequestError):
            continue  # not every preset need have maps
    if not sentences:
        return ["<p>No maps are stored for this run.</p>"]
    return [embed(sentences), scripts()]


def _settings(run: Run) -> str:
    pairs = ", ".join(f"student {student + 1} - teacher {teacher + 1}" for student, teacher in run.pairs)
    stages = "; ".join(f"{stage['name']}: {stage['epochs']} epochs" for stage in run.config.get("stages", []))
    versions = ", ".join(f"{name} {version}" for name, version in run.config.get("versions", {}).items())
    rows = [
        ("matched layers", pairs),
        ("stages", stages),
        ("data", f"{run.config['data'].get('note')}, content {run.config['data'].get('fingerprint')}"),
        ("versions", versions),
    ]
    rows += [(name.replace("_", " "), value) for name, value in run.config.items() if name not in LEFT_OUT]
    return (
        "<table>"
        + "".join(
            f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in rows
        )
        + "</table>"
    )


def _figure(figure: go.Figure) -> str:
    return figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}
    )
