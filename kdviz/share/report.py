"""One run, or several side by side, as one HTML file that still moves and needs nothing else. Every text in
it is escaped; nothing in it asks another host for anything.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from kdviz import __version__
from kdviz.analysis import differing_settings
from kdviz.analysis.cautions import cautions
from kdviz.analysis.comparable import same_examples
from kdviz.analysis.divergence import divergence_words
from kdviz.errors import RequestError
from kdviz.explorer import head, scripts
from kdviz.figures.base import over_examples
from kdviz.method import CITATION
from kdviz.method.terms import recorded_terms
from kdviz.metrics import METRIC_TITLES, mean_of
from kdviz.palette import named, run_styles
from kdviz.runs.command import FOLDERS, command_of, shown_name
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import interval_of
from kdviz.runs.reader import Run
from kdviz.runs.settings import layers_text
from kdviz.share.live import latest_scores
from kdviz.share.report_figures import (
    curves_figure,
    drawing_scripts,
    figure_html,
    have_one_teacher,
    inside_figure,
    score_curve_figure,
    score_figure,
    stages_figure,
)
from kdviz.share.report_pictures import pictures
from kdviz.share.view import MAX_OTHERS
from kdviz.tasks import TASKS
from kdviz.text import counted, decimals, short_places

MOST_RUNS = MAX_OTHERS + 1
MOST_BYTES = 9_900_000
"""A mail server takes ten megabytes. The pictures get what all else leaves them."""
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1B1F24; background: #FFFFFF; max-width: 1180px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; scroll-margin-top: 1rem; }
nav a { margin-right: 1.2rem; } a { color: #005F99; }
table { border-collapse: collapse; } caption { text-align: left; color: #4A5159; }
td, th { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #E3E6EA; }
.banner { background: #F5F6F8; padding: .6rem 1rem; border-radius: .4rem; }
pre { background: #F5F6F8; padding: .6rem 1rem; border-radius: .4rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
figure { margin: 1rem 0; overflow-x: auto; } [data-drawing] { min-width: 40rem; }
select { max-width: 100%; } figcaption { color: #4A5159; font-size: .9rem; }
.wide { overflow-x: auto; } .settings td { overflow-wrap: anywhere; }
@media print {
  body { max-width: none; margin: 0; font-size: 11pt; } nav, details > summary { display: none; }
  h2 { break-after: avoid; } figure, tr, pre { break-inside: avoid; } .banner, pre { border: 1px solid #999; }
}
"""
BEGINNING = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
PRIVATE = {"data_dir", "owner"}
FIRST = (
    "strategy",
    "terms",
    "teacher",
    "student_layers",
    "init",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
)
LEFT_OUT = {"data", "versions", "stages", "pairs", "labels", "metrics", "probes", "planned", *PRIVATE}
PARTS = {
    "maps": "Where teacher and student look",
    "scores": "Scores",
    "inside": "Same answer, different inside",
    "curves": "Through training",
    "stages": "Stages",
    "settings": "Settings",
    "again": "Make it again",
    "cite": "Cite",
}


def report(*runs: Run) -> str:
    """The report of one run, or of several of one task, as HTML. RequestError where a run has no evaluation
    yet, there are too many, or they are of different tasks.
    """
    check_runs(runs)
    sections = {
        "scores": _scores(runs) + figure_html(score_figure(runs), _score_words(runs)),
        "inside": _inside(runs),
        "curves": _curves(runs),
        "stages": _stages(runs),
        "settings": _settings(runs),
        "again": _again(runs),
        "cite": f"<p>The method: {escape(CITATION)}</p><p>The program: kdviz {escape(__version__)}, "
        f"{_plural(runs, 'run')} {escape(', '.join(run.id for run in runs))}.</p>",
    }
    room = MOST_BYTES - len(_written(runs, sections | {"maps": ""}).encode())
    return _written(runs, sections | {"maps": pictures(runs, room)})


def _written(runs: Sequence[Run], sections: Mapping[str, str]) -> str:
    """The file; `sections` are HTML by their name in PARTS."""
    contents = "".join(f'<a href="#{key}">{title}</a>' for key, title in PARTS.items())
    title = f"{TASKS[runs[0].task].title}: {_who(runs)}"
    body = "".join(f'<h2 id="{key}">{title}</h2>{sections[key]}' for key, title in PARTS.items())
    return (
        f'{BEGINNING}<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>kdviz: {escape(title)}</title>"
        f"{head(follows_dark=False)}<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f'{"".join(_banner(run) for run in runs)}<nav aria-label="Contents">{contents}</nav>{body}</main>'
        f"{scripts()}{drawing_scripts()}</body></html>\n"
    )


def check_runs(runs: Sequence[Run]) -> None:
    """RequestError where these runs make no report."""
    if not 1 <= len(runs) <= MOST_RUNS:
        raise RequestError(f"report: expected 1 to {MOST_RUNS} runs, got {len(runs)}; name fewer")
    for run in runs:
        if not run.evals:
            fault = run.faults.get(run.files.metrics.name)
            why = f"its {run.files.metrics.name} cannot be used: {fault}" if fault else "let it run longer"
            raise RequestError(
                f"report: a run with at least one evaluation was expected, got {run.id!r} without; {why}"
            )
        if run.task not in TASKS:
            raise RequestError(f"report: expected a task of this version, got {run.task!r}")
    tasks = [run.task for run in runs]
    if len(set(tasks)) > 1:
        raise RequestError(
            f"report: runs of one task were expected, got {' and '.join(tasks)}; other sentences cannot "
            "be laid side by side"
        )
    if other := next((run for run in runs if not same_examples(run, runs[0]) and run is not runs[0]), None):
        raise RequestError(
            f"report: runs scored on the same examples were expected; those of {other.id!r} are others than "
            f"those of {runs[0].id!r}"
        )


def _who(runs: Sequence[Run]) -> str:
    said = [f"a student of {counted(run.num_layers, 'layer')} by {named(run.strategy)}" for run in runs]
    return " and ".join(said if len(set(said)) == len(said) else distinct_names(runs))


def _plural(runs: Sequence[Run], word: str) -> str:
    return word + "s" * (len(runs) != 1)


def _banner(run: Run) -> str:
    data, last = run.config.get("data", {}), run.evals[-1]
    source = "sample data, not GLUE" if run.is_sample_data else str(data.get("note") or data.get("source"))
    text = (
        f"{source}. {_whole(data.get('num_train'))} training and "
        f"{counted(data.get('num_eval'), 'evaluation example')}, {last['epoch']} of "
        f"{counted(run.config.get('epochs'), 'epoch')}, {counted(last['step'], 'step')}, "
        f"one seed ({run.seed}), run {run.state}, begun {run.config.get('created')}. Intervals are 95 % "
        "bootstrap intervals over the evaluation examples; they say nothing about other seeds."
    )
    warnings = [words for words in (divergence_words(run), latest_scores(run).warning) if words]
    return f'<p class="banner"><strong>{escape(run.id)}</strong>: {escape(text)}</p>' + "".join(
        f'<p class="banner"><strong>{escape(words)}</strong></p>' for words in warnings
    )


def _scores(runs: Sequence[Run]) -> str:
    """Every number with its n and interval: a row a metric, the students side by side."""
    names = distinct_names(runs)
    lasts = [run.evals[-1] for run in runs]
    is_one = have_one_teacher(runs)
    its_teacher = "" if is_one else "<th>its teacher</th>"
    head_row = "<th></th><th>teacher</th>" * is_one + "<th></th>" * (not is_one)
    head_row += "".join(
        f"{its_teacher}<th>{escape(name)}</th><th>95 % interval</th><th>before training</th>"
        for name in names
    )
    rows = [f"<tr>{head_row}</tr>"]
    for metric in lasts[0]["metrics"]:
        cells = ""
        for run, last in zip(runs, lasts, strict=True):
            low, high = interval_of(last, metric)
            if run is runs[0] or not is_one:
                cells += f"<td>{decimals(last['teacher_metrics'].get(metric))}</td>"
            cells += (
                f"<td>{decimals(last['metrics'].get(metric))}</td>"
                f"<td>{decimals(low)} to {decimals(high)}</td>"
                f"<td>{decimals(_before(run, lambda line, name=metric: line['metrics'].get(name)))}</td>"
            )
        rows.append(f"<tr><th>{escape(METRIC_TITLES.get(metric, metric))}</th>{cells}</tr>")
    for title, value in (
        ("Agreement with the teacher", lambda line: line.get("agreement")),
        ("KL of the answers (nats)", lambda line: line.get("logit_kl")),
        ("Attention KL, mean of the layers (nats)", lambda line: mean_of(line["mismatch"]["attention_kl"])),
        *(
            (
                f"{term.title}, mean of the layers ({term.unit})",
                lambda line, key=term.key: mean_of(line["mismatch"].get(key) or ()),
            )
            for term in recorded_terms(lasts)
        ),
    ):
        cells = "".join(
            "<td></td>" * (run is runs[0] or not is_one)
            + f"<td>{decimals(value(run.evals[-1]))}</td><td></td><td>{decimals(_before(run, value))}</td>"
            for run in runs
        )
        rows.append(f"<tr><th>{title}</th>{cells}</tr>")
    rows += _cost_rows(runs)
    examples = over_examples([last["n"] for last in lasts])
    return (
        f'<div class="wide"><table><caption>n = {examples}</caption>{"".join(rows)}</table></div>'
        + _cautions(runs)
    )


def _before(run: Run, value: Callable[[dict], float | None]) -> float | None:
    """A number of the evaluation before training; None where that is missing."""
    return value(run.before_training) if run.before_training else None


def _cautions(runs: Sequence[Run]) -> str:
    """What has to be known before the answers of the last evaluation are believed."""
    return "".join(
        f"<p><strong>{escape(f'{name}, after epoch {epoch}: {caution}.')}</strong></p>"
        for name, run in zip(distinct_names(runs), runs, strict=True)
        for epoch in [run.evals[-1]["epoch"]]
        for caution in cautions(run, epoch)
    )


def _cost_rows(runs: Sequence[Run]) -> list[str]:
    costs = [run.summary.get("cost") or {} for run in runs]
    is_one = have_one_teacher(runs)
    rows = []
    for title, name, size, unit in (
        ("Parameters", "parameters", 1e6, "\N{NO-BREAK SPACE}M"),
        ("Milliseconds for a sentence, where it was trained", "ms_per_sentence", 1, ""),
    ):
        known = [(cost.get(f"teacher_{name}"), cost.get(f"student_{name}")) for cost in costs]
        if any(value is not None for values in known for value in values):
            cells = ""
            for place, values in enumerate(known):
                teacher, student = ("–" if value is None else f"{value / size:.1f}{unit}" for value in values)
                cells += f"<td>{teacher}</td>" * (place == 0 or not is_one)
                cells += f"<td>{student}</td><td></td><td></td>"
            rows.append(f"<tr><th>{title}</th>{cells}</tr>")
    return rows


def _score_words(runs: Sequence[Run]) -> str:
    metric = TASKS[runs[0].task].primary_metric
    said = [
        f"teacher {decimals(run.evals[-1]['teacher_metrics'].get(metric))}"
        for run in (runs[:1] if have_one_teacher(runs) else runs)
    ]
    for name, run in zip(distinct_names(runs), runs, strict=True):
        low, high = interval_of(run.evals[-1], metric)
        value = decimals(run.evals[-1]["metrics"].get(metric))
        said.append(f"{name} {value}, 95 % interval {decimals(low)} to {decimals(high)}")
    return f"{METRIC_TITLES[metric]}: {'; '.join(said)}"


def _inside(runs: Sequence[Run]) -> str:
    """The first run beside each of the others: a picture holds two."""
    parts = [
        "<p>Each dot is one evaluation example. To the right: the answers differ more. Upwards: the "
        "attention inside differs more.</p>"
    ]
    parts.append(_cautions(runs))
    names, styles = distinct_names(runs), run_styles([run.strategy for run in runs])
    for other in range(min(1, len(runs) - 1), len(runs)):
        places = sorted({0, other})
        try:
            figure = inside_figure(*([each[place] for place in places] for each in (runs, names, styles)))
        except KeyError:
            who = " and ".join(escape(runs[place].id) for place in places)
            both = " for both" if len(places) > 1 else ""
            parts.append(
                f"<p>{who}: of the last evaluation no answers with finite numbers are stored{both}.</p>"
            )
            continue
        who = " and ".join(names[place] for place in places)
        parts.append(figure_html(figure, f"Output KL against attention KL of the evaluation examples: {who}"))
    return "".join(parts)


def _curves(runs: Sequence[Run]) -> str:
    metric = METRIC_TITLES[TASKS[runs[0].task].primary_metric]
    further = recorded_terms(line for run in runs for line in run.evals)
    drawn = ["Attention KL", "CLS distance", *(term.title for term in further)]
    shown = f"{', '.join(drawn[:-1])} and {drawn[-1]} of every matched pair over the epochs"
    return figure_html(curves_figure(runs), shown) + figure_html(
        score_curve_figure(runs), f"{metric} over the epochs, with 95 % intervals"
    )


def _stages(runs: Sequence[Run]) -> str:
    parts = []
    for run in runs:
        words = "; ".join(
            f"{stage.get('name')}, {counted(stage.get('epochs'), 'epoch')}"
            for stage in run.config.get("stages", [])
            if isinstance(stage, dict)
        )
        parts.append(figure_html(stages_figure(run), f"{run.id}, what is in the loss when: {words}"))
    return "".join(parts)


def _settings(runs: Sequence[Run]) -> str:
    """What differs first, then everything."""
    parts = []
    if len(runs) > 1:
        differing = differing_settings(
            [{name: value for name, value in run.config.items() if name not in PRIVATE} for run in runs]
        )
        rows = [(row["setting"], *row["values"]) for row in differing]
        parts.append(_table(["What differs", *(run.id for run in runs)], rows))
    rows = [(title, *(read(run) for run in runs)) for title, read in _SUMMARIES.items()]
    rows += [(name, *(run.config.get(name) for run in runs)) for name in FIRST]
    parts.append(_table(["Setting", *(run.id for run in runs)], rows))
    names = dict.fromkeys(
        name for run in runs for name in run.config if name not in LEFT_OUT and name not in FIRST
    )
    rest = [(name, *(run.config.get(name) for run in runs)) for name in names]
    table = _table(["Setting", *(run.id for run in runs)], rest)
    return "".join(parts) + f"<details><summary>All other settings</summary>{table}</details>"


def _data_words(run: Run) -> str:
    data = run.config.get("data", {})
    return f"{data.get('note')}, content {data.get('fingerprint')}"


_SUMMARIES = {
    "matched layers": lambda run: ", ".join(
        f"student {student + 1} - teacher {teacher + 1}" for student, teacher in run.pairs
    ),
    "data": _data_words,
    "versions": lambda run: ", ".join(f"{k} {v}" for k, v in run.config.get("versions", {}).items()),
}


def _table(head_row: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(text)}</th>" for text in head_row)
    body = "".join(
        f"<tr><th>{escape(str(name).replace('_', ' '))}</th>"
        + "".join(f"<td>{escape(_told(str(name), value))}</td>" for value in values)
        + "</tr>"
        for name, *values in rows
    )
    return f'<div class="wide settings"><table><tr>{top}</tr>{body}</table></div>'


def _told(name: str, value: object) -> str:
    """A setting in words; where a folder of the machine that trained lies is nobody's business."""
    if name in FOLDERS and value:
        return shown_name(value)
    if (layers := layers_text(name, value)) is not None:
        return layers
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value)
    return "–" if value is None else short_places(str(value))


def _again(runs: Sequence[Run]) -> str:
    parts = ["<p>With kdviz installed, from its folder:</p>"]
    for run in runs:
        try:
            parts.append(f"<pre><code>{escape(command_of(run))}</code></pre>")
        except ValueError:
            parts.append(f"<p>The settings of {escape(run.id)} are not ones of this version of kdviz.</p>")
    ids = " ".join(run.id for run in runs)
    parts.append(f"<pre><code>{escape(f'python -m kdviz report {ids}')}</code></pre>")
    return "".join(parts)


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"
