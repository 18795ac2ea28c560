"""The numbers of one finished run that a study's table is made of, all read from the run's folder."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from kdviz.analysis import right_wrong
from kdviz.analysis.divergence import divergence
from kdviz.files import Stamp, stamp_of
from kdviz.metrics import mean_of
from kdviz.metrics import predictions as answers_of
from kdviz.runs.reader import Run
from kdviz.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A run's last evaluated epoch: scores, and the columns of `kdviz.studies.spec.COLUMNS` that it has.

    `key` names the run's folder as it stands, see `measured_as`. `labels` (n,) and `predictions` (n,), class
    ids in the order of `index`; None where the answers are not stored.
    """

    key: tuple[Path, int, int]
    run_id: str
    seed: int
    task: str
    metrics: dict[str, float]
    teacher_metrics: dict[str, float]
    values: dict[str, float]
    num_examples: int
    teacher: str
    index: np.ndarray | None
    labels: np.ndarray | None
    predictions: np.ndarray | None


def why_left_out(run: Run) -> str | None:
    """Why a finished run is in no mean, in words; None where it may be."""
    evals = run.evals
    if not evals:
        return "it has no evaluation"
    if reason := divergence(run):
        return f"it diverged: {reason}"
    scores = evals[-1]["metrics"]
    if lacking := [name for name in TASKS[run.task].metrics if name not in scores]:
        return f"its last evaluation has no {' and no '.join(lacking)}"
    if not all(map(_is_number, scores.values())):
        return "it diverged: some of its scores are not finite"
    return None


def measured(run: Run) -> Measured:
    """The numbers of a run that `why_left_out` finds nothing against."""
    return measured_as((run.folder, stamp_of(run.files.metrics)))


@lru_cache(maxsize=4096)
def measured_as(key: tuple[Path, Stamp]) -> Measured:
    """The numbers of a run in its folder, whose metrics.jsonl has this stamp."""
    run = Run(key[0])
    last, cost = run.evals[-1], run.summary.get("cost", {})
    values = {
        "attention_kl": mean_of(last["mismatch"]["attention_kl"]),
        "cls_distance": mean_of(last["mismatch"]["cls_distance"]),
        "agreement": last["agreement"],
        "logit_kl": last["logit_kl"],
        "parameters": cost.get("student_parameters"),
        "seconds": seconds_of(run) or None,
    }
    index = labels = predictions = None
    try:
        answers = run.evaluation(int(last["epoch"]))
    except KeyError:
        pass
    else:
        index, labels, predictions = answers.index, answers.label, answers_of(answers.student_logits)
        table = right_wrong(labels, answers.teacher_logits, answers.student_logits)
        values |= {"repeated_mistakes": table.repeated_mistakes, "kept_right": table.kept_right}
    return Measured(
        key=key,
        run_id=run.id,
        seed=run.seed,
        task=run.task,
        metrics={name: float(value) for name, value in last["metrics"].items()},
        teacher_metrics={
            name: float(value) for name, value in last.get("teacher_metrics", {}).items() if _is_number(value)
        },
        values={name: float(value) for name, value in values.items() if _is_number(value)},
        num_examples=int(last.get("n", 0)),
        teacher=str(run.config.get("teacher_fingerprint")),
        index=index,
        labels=labels,
        predictions=predictions,
    )


def seconds_of(run: Run) -> float:
    """How long it took in all, as far as that was written down."""
    return sum(filter(_is_number, run.summary.get("seconds", {}).values()))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
