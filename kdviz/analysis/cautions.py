"""What a reader has to know before believing a student's numbers: a classifier that no stage has trained yet,
and a student that gives every example the same answer. One sentence each, wherever such a number stands.
"""

from functools import lru_cache
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.method.weights import label_weights
from kdviz.metrics import predictions
from kdviz.runs.arrays import Damaged
from kdviz.runs.reader import Run

UNTRAINED = "its classifier is not trained yet, so its answers say nothing"


def untrained_until(run: Run) -> float | None:
    """The epoch up to which the student's classifier has been in no loss (pid and sid come to the labels
    last, and where their weight is 0 nobody does); None where every stage trains it, or it came with the
    fine-tuned teacher.
    """
    if run.config.get("init") == "teacher":
        return None
    begun = [line for line in run.stage_lines if _trains_classifier(run, line["stage"])]
    if begun:  # an early move up comes before its plan
        return float(begun[0]["epoch"]) or None
    reached = 0.0
    for stage in _stages(run):
        if _trains_classifier(run, stage):
            break
        reached += float(stage.get("epochs") or 0)
    return reached or None


def _trains_classifier(run: Run, stage: dict) -> bool:
    classification = str(stage.get("classification") or "none")
    soft = run.config.get("soft_weight", RunConfig.soft_weight)
    hard = run.config.get("hard_weight", RunConfig.hard_weight)
    weights = label_weights(float(soft), float(hard), classification)
    return any(weights[part] > 0 for part in classification.split("+") if part in weights)


def is_untrained(run: Run, epoch: float) -> bool:
    """Whether that is so at a moment of training."""
    until = untrained_until(run)
    return until is not None and epoch <= until + 1e-6


def constant_answer(run: Run, epoch: int) -> str | None:
    """That the student gives every evaluation example the same answer after `epoch`, and how often the
    teacher gives it too: what its agreement then comes to by itself; or that it gives some of them none.
    None where neither is so.
    """
    try:
        return _constant(run.folder, str(run.config.get("created")), int(epoch), tuple(_labels(run)))
    except (KeyError, Damaged):  # not stored (yet)
        return None


@lru_cache(maxsize=256)
def _constant(folder: Path, created: str, epoch: int, labels: tuple[str, ...]) -> str | None:
    found = Run(folder).evaluation(epoch)
    answers = predictions(found.student_logits)
    if number := int((answers < 0).sum()):
        return (
            f"the student gives {number:,} of {len(answers):,} examples no answer, its numbers for them are "
            "not finite: it has no score"
        )
    if len(answers) < 2 or (answers != answers[0]).any():
        return None
    name = labels[answers[0]] if answers[0] < len(labels) else f"class {answers[0]}"
    share = float((predictions(found.teacher_logits) == answers[0]).mean())
    return (
        f"the student answers “{name}” to every example; agreement {share:.3f} is only how often the "
        "teacher answers that too"
    )


def cautions(run: Run, epoch: int) -> list[str]:
    """Both, for the evaluation after `epoch`; the first explains the second, so it stands alone."""
    if is_untrained(run, epoch) and epoch > 0:
        return [UNTRAINED]
    constant = constant_answer(run, epoch)
    return [constant] if constant else []


def _stages(run: Run) -> list[dict]:
    stages = run.config.get("stages")
    return [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []


def _labels(run: Run) -> list[str]:
    return [str(name) for name in run.config.get("labels") or ()]
