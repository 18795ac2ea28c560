"""How well a teacher answers, and whether a student can learn anything from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from kdviz.data.encoded import EncodedSet
from kdviz.files import object_in, write_json
from kdviz.metrics import (
    beats_constant_answer,
    majority_share,
    predictions,
    recorded_intervals,
    recorded_scores,
)
from kdviz.task import Task
from kdviz.training.evaluate import predict


def teacher_score(
    teacher: nn.Module,
    folder: Path,
    task: Task,
    evaluation: EncodedSet,
    logits: np.ndarray | None = None,
    *,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """The teacher's metrics on the evaluation set with intervals, n and the majority share; kept in
    metrics.json.

    `warning` says where its accuracy is hardly above always answering the most frequent class. `tick` is
    called between batches and may raise.
    """
    known = object_in(folder / "metrics.json")
    if isinstance(kept := known.get(evaluation.fingerprint), dict):
        return kept
    logits = predict(teacher, evaluation, tick=tick) if logits is None else logits
    labels, answers = evaluation.labels.astype(np.int64), predictions(logits)
    accuracy, majority = float((labels == answers).mean()), majority_share(labels)
    score = {
        "metrics": recorded_scores(task, labels, answers),
        "intervals": recorded_intervals(task, labels, answers),
        "n": len(labels),
        "accuracy": accuracy,
        "majority": majority,
    }
    if not beats_constant_answer(accuracy, majority, len(labels)):
        score["warning"] = (
            f"The teacher answers {accuracy:.1%} right; always answering the most frequent class gives "
            f"{majority:.1%}. A student can hardly learn more from it: "
            f"{_advice(folder, task, labels, answers)}."
        )
    write_json(folder / "metrics.json", {**known, evaluation.fingerprint: score})
    return score


def _advice(folder: Path, task: Task, labels: np.ndarray, answers: np.ndarray) -> str:
    """What to do about a teacher that is hardly better than a constant answer: one that is used as it is
    lacks no training here.
    """
    if object_in(folder / "teacher.json").get("epochs") != 0:
        return "give it more examples or epochs"
    other_way = float((labels == 1 - answers).mean())
    if task.num_labels == 2 and beats_constant_answer(other_way, majority_share(labels), len(labels)):
        return (
            f"with its two classes the other way round it would be {other_way:.1%} right, so look whether "
            "id2label in its config.json names them in the wrong order"
        )
    return f"it is used as it is (teacher_epochs: 0), so look whether it is fine-tuned for {task.title}"
