"""One pass over a set: predictions, mismatch per example, layer and head, and how the layers resemble each
other.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from kdviz.analysis.cka import RunningCka
from kdviz.data.encoded import EncodedSet
from kdviz.method import losses
from kdviz.method.targets import Answers, Needs, Pairs, evaluation_needs
from kdviz.method.term import CLS, Term
from kdviz.method.terms import measured_terms
from kdviz.metrics import predictions, recorded_intervals, recorded_scores
from kdviz.models.answer import answer
from kdviz.models.families import as_classifier
from kdviz.task import Task
from kdviz.training.teacher_outputs import TeacherOutputs


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Results over a set of n examples, in the set's order.

    Logits (n, classes); `terms` by name in metrics.jsonl: (n, pairs), of those with heads (n, pairs, heads);
    `cka` (student layers, teacher layers), linear CKA of the [CLS] vectors, or None where the teacher's
    vectors of all layers were not asked. `seconds`: what measuring them took.
    """

    index: np.ndarray
    labels: np.ndarray
    teacher_logits: np.ndarray
    student_logits: np.ndarray
    terms: dict[str, np.ndarray]
    cka: np.ndarray | None
    seconds: float = 0.0

    @property
    def memory_bytes(self) -> int:
        """What the results by example take."""
        return sum(array.nbytes for array in (self.teacher_logits, self.student_logits, *self.terms.values()))

    def mismatch(self) -> dict[str, list[Any]]:
        """Means over examples: sums over all of them divided by their number, never means of batch means."""
        return mismatch_of(self.terms)

    def terms_by_pair(self) -> dict[str, np.ndarray]:
        """`terms`, each (n, pairs): the mean over heads where a term has them."""
        return {key: mean_over_heads(values) for key, values in self.terms.items()}

    def record(self, task: Task) -> dict[str, Any]:
        """The numbers of an eval line: metrics with intervals and n, mismatch, agreement, logit KL. Where an
        answer is not finite there is no score: None.
        """
        student, teacher = predictions(self.student_logits), predictions(self.teacher_logits)
        is_complete = min(student.min(), teacher.min()) >= 0
        logit_kl = losses.soft_label_loss_per_example(
            torch.from_numpy(self.teacher_logits), torch.from_numpy(self.student_logits)
        )
        return {
            "metrics": recorded_scores(task, self.labels, student),
            "intervals": recorded_intervals(task, self.labels, student),
            "n": len(self.labels),
            "teacher_metrics": recorded_scores(task, self.labels, teacher),
            "mismatch": self.mismatch(),
            "agreement": float((student == teacher).mean()) if is_complete else None,
            "logit_kl": float(logit_kl.double().mean()),
            **({"cka": self.cka.tolist()} if self.cka is not None else {}),
        }


def mean_over_heads(values: np.ndarray) -> np.ndarray:
    """A term's values per example, (n, pairs): the mean over heads of (n, pairs, heads), and those of a term
    without heads as they are.
    """
    return values.mean(axis=2) if values.ndim == 3 else values


def mismatch_of(terms: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """The mismatch of each matched pair, term by term, from values per example: (n, pairs) or, of those with
    heads, (n, pairs, heads).
    """
    found: dict[str, list[Any]] = {}
    for key, values in terms.items():
        means = values.mean(axis=0, keepdims=True, dtype=np.float64)
        found[key] = mean_over_heads(means)[0].tolist()
        if means.ndim == 3:
            found[f"{key}_heads"] = means[0].tolist()
    return found


def term_values(
    terms: Sequence[Term], pairs: Pairs, teacher: Answers, student: Answers, mask: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Each term of every pair for every example of a batch: (batch, pairs) or (batch, pairs, heads)."""
    return {
        term.key: torch.stack(
            [
                _term_value(
                    term,
                    teacher.reading(term.reads.name)[teacher_layer],
                    student.reading(term.reads.name)[student_layer],
                    mask,
                )
                for student_layer, teacher_layer in pairs
            ],
            dim=1,
        )
        for term in terms
    }


def _term_value(term: Term, teacher: torch.Tensor, student: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A term of one pair; NaN (null in files) between vectors of two widths, which cannot be compared."""
    if term.reads.form == "vector" and teacher.shape != student.shape:
        return torch.full((len(mask),), torch.nan, device=mask.device)
    return term.loss(teacher, student, mask)


def evaluate(
    student: nn.Module,
    encoded: EncodedSet,
    outputs: TeacherOutputs,
    pairs: Pairs,
    *,
    num_teacher_layers: int,
    terms: Sequence[Term] = (),
    with_cka: bool = True,
    tick: Callable[[], None] = lambda: None,
) -> Evaluated:
    """Evaluate `student` on `encoded` against the teacher's `outputs`, in eval mode, without gradient.

    `terms`: those to measure (default: the paper's). In float32 whatever the arithmetic of training, so that
    a stranger can recompute every number from the weights. `tick` is called between batches and may raise.
    The student's mode is put back.
    """
    device, config = next(student.parameters()).device, as_classifier(student).config
    terms, num = terms or measured_terms(), len(encoded)
    needs = evaluation_needs(
        [layer for _, layer in pairs], range(num_teacher_layers) if with_cka else (), terms
    )
    own_layers = [layer for layer, _ in pairs]
    own_needs = evaluation_needs(own_layers, own_layers if with_cka else (), terms)
    logits = np.zeros((2, num, config.num_labels), dtype=np.float32)
    values = {
        term.key: np.zeros(
            (num, len(pairs)) + (config.num_attention_heads,) * term.has_heads, dtype=np.float32
        )
        for term in terms
    }
    cka = RunningCka() if with_cka else None
    begin, was_training = time.perf_counter(), student.training
    student.eval()
    try:
        for positions in encoded.evaluation_batches():
            tick()
            batch = encoded.batch(positions).to(device)
            teacher = outputs.gather(batch, needs)
            with torch.no_grad():
                own = answer(student, batch.inputs, own_needs)
                found = term_values(terms, pairs, teacher, own, batch.attention_mask)
            logits[0, positions], logits[1, positions] = (
                _numpy(teacher.known_logits),
                _numpy(own.known_logits),
            )
            for key, value in found.items():
                values[key][positions] = _numpy(value)
            if cka:
                cka.add(_vectors(own, len(pairs)), _vectors(teacher, num_teacher_layers))
    finally:
        student.train(was_training)
    return Evaluated(
        index=encoded.index,
        labels=encoded.labels.astype(np.int64),
        teacher_logits=logits[0],
        student_logits=logits[1],
        terms=values,
        cka=cka.matrix() if cka else None,
        seconds=time.perf_counter() - begin,
    )


def predict(model: nn.Module, encoded: EncodedSet, *, tick: Callable[[], None] = lambda: None) -> np.ndarray:
    """Logits (n, classes) of a classifier in eval mode, in float32."""
    device = next(model.parameters()).device
    logits = np.zeros((len(encoded), as_classifier(model).config.num_labels), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for positions in encoded.evaluation_batches():
                tick()
                logits[positions] = _numpy(
                    answer(model, encoded.batch(positions).to(device).inputs, Needs()).known_logits
                )
    finally:
        model.train(was_training)
    return logits


def _vectors(answers: Answers, num_layers: int) -> list[np.ndarray]:
    """The [CLS] vectors of the first layers, each (batch, hidden)."""
    return [_numpy(answers.reading(CLS.name)[layer]) for layer in range(num_layers)]


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.float().cpu().numpy()
    return array
