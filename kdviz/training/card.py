"""The model card of a run's student: README.md in the hub's format, made from the run's files alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdviz.analysis.cautions import cautions, is_untrained
from kdviz.analysis.divergence import divergence_words
from kdviz.method import CITATION
from kdviz.method.strategies import STRATEGIES
from kdviz.method.terms import TERMS, recorded_terms
from kdviz.metrics import METRIC_TITLES, METRICS
from kdviz.models.registry import TEACHERS
from kdviz.runs.command import command_of, is_path, shown_name
from kdviz.runs.parts import interval_of
from kdviz.runs.reader import Run
from kdviz.tasks import TASKS
from kdviz.text import counted, plain, plain_reason

USE = """```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("FOLDER")
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
```"""


def model_card(run: Run) -> str:
    """The card as text: a head in YAML, then Markdown. Every name from the run's files is escaped."""
    parts = [
        f"---\n{_head(run)}\n---",
        f"# {run.num_layers}-layer student for {plain(_title(run))}",
        f"{'Distilled' if _uses_teacher(run) else 'Trained'} with kdviz by `{run.strategy}`: "
        f"{STRATEGIES[run.strategy].trained_on}.",
        *([f"**{plain(diverged)}**"] if (diverged := divergence_words(run)) else []),
        "## Data\n\n" + _data(run),
        "## Teacher\n\n" + _teacher(run),
        "## Training\n\n" + _training(run),
        "## Scores\n\n" + _scores(run),
        "## How alike it is to its teacher\n\n" + _likeness(run),
        "## Limits\n\n" + _limits(run),
        "## Licence\n\n" + LICENCE,
        "## Use\n\n" + USE,
        "## Make it again\n\n" + _command(run),
        "## Cite\n\n" + f"The method: {CITATION}",
    ]
    return "\n\n".join(parts) + "\n"


LICENCE = (
    "kdviz sets none. The weights begin as those of the checkpoint named above and were trained on the data "
    "named above: the licences of both apply. Look them up and change `license` in the head of this file "
    "before you share the folder."
)


def _uses_teacher(run: Run) -> bool:
    return STRATEGIES[run.strategy].uses_teacher


def _title(run: Run) -> str:
    return TASKS[run.task].title if run.task in TASKS else run.task


def _head(run: Run) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    glue = {} if run.is_sample_data else {"datasets": ["nyu-mll/glue"]}
    split = TASKS[run.task].dev_splits[0][2] if run.task in TASKS else "validation"
    last = _last(run)
    is_result = not divergence_words(run) and not is_untrained(run, last.get("epoch", 0))
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type="sample" if run.is_sample_data else "nyu-mll/glue",
            dataset_name=f"{_title(run)}, sample data of kdviz, not GLUE"
            if run.is_sample_data
            else _title(run),
            dataset_config=run.task,
            dataset_split=split,
            metric_type=METRICS[name].hub_name,
            metric_name=METRICS[name].title,
            metric_value=value,
        )
        for name, value in last.get("metrics", {}).items()
        if is_result and name in METRICS and METRICS[name].hub_name and value is not None
    ]
    base = str(run.config.get("student_checkpoint") or run.config.get("teacher") or "")
    base = (TEACHERS[base].location or "") if base in TEACHERS else base
    data = ModelCardData(
        language="en",
        license="other",
        license_name="see-licence-section",
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=[
            "kdviz",
            *(["knowledge-distillation"] if _uses_teacher(run) else []),
            f"strategy-{run.strategy}",
        ],
        base_model=base if base.count("/") == 1 and not is_path(base) else None,
        model_name=run.id if results else None,
        eval_results=results or None,
        **glue,
    )
    text: str = data.to_yaml()
    return text


def _last(run: Run) -> Mapping[str, Any]:
    """The evaluation whose weights lie beside the card: the last one."""
    return run.evals[-1] if run.evals else {}


def _data(run: Run) -> str:
    data = run.config.get("data", {})
    what = (
        "**Sample data made by kdviz, not GLUE**"
        if run.is_sample_data
        else f"{plain(_title(run))} of GLUE ({plain(str(data.get('note', '')))})"
    )
    num_train, num_eval = data.get("num_train"), data.get("num_eval")
    used = f"{counted(num_train, 'example')} to train on, {_whole(num_eval)} to evaluate on"
    return f"{what}. {used}; content fingerprint `{plain(str(data.get('fingerprint')))}`."


def _teacher(run: Run) -> str:
    config, scores = run.config, _last(run).get("teacher_metrics", {})
    name = str(config.get("teacher"))
    shown = plain(shown_name(name)) if is_path(name) else _code(name)
    said = ", ".join(f"{_metric(metric)} {_number(value)}" for metric, value in scores.items())
    return (
        f"{shown}, {counted(config.get('teacher_num_layers'), 'layer')}, fine-tuned on the task "
        f"(fingerprint `{plain(str(config.get('teacher_fingerprint')))}`)"
        + (f". Its scores: {said}." if said else ".")
    )


def _training(run: Run) -> str:
    config = run.config
    pairs = ", ".join(f"{student + 1} ↔ {teacher + 1}" for student, teacher in run.pairs)
    stages = "; ".join(
        f"{plain(str(stage.get('name')))} ({counted(stage.get('epochs'), 'epoch')})"
        for stage in config.get("stages", [])
    )
    epoch = _last(run).get("epoch", 0)
    asked = config.get("terms")
    asked = asked if isinstance(asked, (list, tuple)) and STRATEGIES[run.strategy].uses_internal_terms else ()
    terms = [term.title for name, term in TERMS.items() if name in asked]
    rows = [
        f"- Student layers ↔ teacher layers: {pairs}; first weights: {plain(str(config.get('init')))}",
        f"- Stages: {stages or 'one'}" + (f"; of a layer: {', '.join(terms)}" if terms else ""),
        f"- {epoch} of {counted(config.get('epochs'), 'epoch')} done, batches of {config.get('batch_size')}, "
        f"learning rate {config.get('learning_rate')}, at most {config.get('max_length')} tokens, "
        f"seed {run.seed}",
    ]
    return "\n".join(rows)


def _scores(run: Run) -> str:
    last = _last(run)
    if not last:
        return "The run has not been evaluated."
    rows = ["| metric | teacher | student | 95 % interval |", "|---|---|---|---|"]
    for name, value in last.get("metrics", {}).items():
        teacher = last.get("teacher_metrics", {}).get(name)
        low, high = interval_of(last, name)
        rows.append(
            f"| {_metric(name)} | {_number(teacher)} | {_number(value)} | {_number(low)} to {_number(high)} |"
        )
    note = (
        f"n = {counted(last.get('n'), 'evaluation example')}, epoch {last.get('epoch')}. The interval is a "
        "bootstrap over these examples; it says nothing about other seeds."
    )
    return "\n\n".join(["\n".join(rows), note, *_cautions(run)])


def _cautions(run: Run) -> list[str]:
    """What has to be known before the student's answers are believed, a paragraph each."""
    epoch = _last(run).get("epoch", 0)
    return [f"**After epoch {epoch}: {plain(caution)}.**" for caution in cautions(run, epoch)]


def _likeness(run: Run) -> str:
    last = _last(run)
    if not last:
        return "The run has not been evaluated."
    mismatch = last.get("mismatch", {})
    further = recorded_terms([last])
    head = ["student layer", "teacher layer", "attention KL (nats)", "CLS distance"]
    head += [f"{term.title} ({term.unit})" for term in further]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for place, (student, teacher) in enumerate(run.pairs):
        numbers = [_number(mismatch["attention_kl"][place]), _number(mismatch["cls_distance"][place], 5)]
        numbers += [_number(mismatch[term.key][place]) for term in further]
        rows.append(f"| {student + 1} | {teacher + 1} | {' | '.join(numbers)} |")
    said = (
        f"Agreement: it gives the teacher's answer on {_number(last.get('agreement'))} of the evaluation "
        f"examples (1 is all). The KL between their probabilities is {_number(last.get('logit_kl'))} nats. "
        "Inside (0 is identical):\n\n" + "\n".join(rows)
    )
    return "\n\n".join([said, *_cautions(run)])


def _limits(run: Run) -> str:
    lines = [
        "- One run with one seed: a second seed would give other numbers.",
        "- The scores are those of the development set: nothing was tuned on it automatically, but choices "
        "may have been made by looking at it.",
        f"- English, at most {run.config.get('max_length')} tokens; a longer text is cut.",
    ]
    if _uses_teacher(run):
        lines.append("- It copies its teacher, also in what the teacher gets wrong.")
    if run.is_sample_data:
        lines.insert(0, "- Trained and scored on sentences made by kdviz. **These are no GLUE scores.**")
    warnings: Sequence[dict[str, Any]] = run.lines("teacher_score")
    if warnings and warnings[-1].get("warning"):
        lines.append(f"- {plain_reason(str(warnings[-1]['warning']))}")
    if run.state == "failed":
        lines.append("- The run failed; these are the weights of its last whole epoch.")
    return "\n".join(lines)


def _command(run: Run) -> str:
    try:
        command = command_of(run)
    except ValueError:
        return "The settings of this run are not ones of the version of kdviz that wrote this card."
    versions = ", ".join(
        f"{plain(str(name))} {plain(str(v))}" for name, v in run.config.get("versions", {}).items()
    )
    return f"```sh\n{command}\n```" + (f"\n\nWith {versions}." if versions else "")


def _metric(name: str) -> str:
    return METRIC_TITLES.get(name, plain(name))


def _number(value: object, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else "–"


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _code(text: object) -> str:
    """`text` as it was written, in the typewriter's letters."""
    return f"`{' '.join(str(text).replace('`', '').split()) or '?'}`"
