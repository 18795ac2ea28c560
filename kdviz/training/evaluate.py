"""One pass over a set: predictions, mismatch per example, layer and head, and how the layers resemble each
other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from kdviz.analysis import cka_matrix
from kdviz.data.encoded import EncodedSet
from kdviz.method import losses
from kdviz.models.trace import classify, trace
from kdviz.tasks import Task, score_intervals, scores
from kdviz.training.teacher_outputs import Needs


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Results over a set of n examples, in the set's order.

    Logits (n, classes); `attention_kl` in nats (n, pairs, heads); `cls_distance` (n, pairs); `cka` (student
    layers, teacher layers), linear CKA of the [CLS] vectors, or None where the teacher's vectors of all
    layers were not asked.
    """

    index: np.ndarray
    labels: np.ndarray
    teacher_logits: np.ndarray
    student_logits: np.ndarray
    attention_kl: np.ndarray
    cls_distance: np.ndarray
    cka: np.ndarray | None

    def mismatch(self) -> dict[str, list]:
        """Means over examples: sums over all of them divided by their number, never means of batch means."""
        heads = self.attention_kl.mean(axis=0, dtype=np.float64)
        return {
            "attention_kl": heads.mean(axis=1).tolist(),
            "attention_kl_heads": heads.tolist(),
            "cls_distance": self.cls_distance.mean(axis=0, dtype=np.float64).tolist(),
        }

    def record(self, task: Task) -> dict:
        """The numbers of an eval line: metrics with intervals and n, mismatch, agreement, logit KL."""
        student, teacher = self.student_logits.argmax(-1), self.teacher_logits.argmax(-1)
        logit_kl = losses.soft_label_loss_per_example(
            torch.from_numpy(self.teacher_logits), torch.from_numpy(self.student_logits)
        )
        return {
            "metrics": scores(task, self.labels, student),
            "intervals": score_intervals(task, self.labels, student),
            "n": len(self.labels),
            "teacher_metrics": scores(task, self.labels, teacher),
            "mismatch": self.mismatch(),
            "agreement": float((student == teacher).mean()),
            "logit_kl": float(logit_kl.double().mean()),
            **({"cka": self.cka.tolist()} if self.cka is not None else {}),
        }


def evaluate(
    student: nn.Module,
    encoded: EncodedSet,
    outputs,
    pairs: tuple[tuple[int, int], ...],
    *,
    num_teacher_layers: int,
    with_cka: bool = True,
    tick: Callable[[], None] = lambda: None,
) -> Evaluated:
    """Evaluate `student` on `encoded` against the teacher's `outputs`, in eval mode, without gradient.

    In float32 whatever the arithmetic of training, so that a stranger can recompute every number from the
    weights. `tick` is called between batches and may raise. The student's mode is put back.
    """
    device = next(student.parameters()).device
    cls_layers = range(num_teacher_layers) if with_cka else [layer for _, layer in pairs]
    needs = Needs(
        logits=True, cls_layers=frozenset(cls_layers), map_layers=frozenset(layer for _, layer in pairs)
    )
    num, num_heads, num_classes = len(encoded), student.config.num_attention_heads, student.config.num_labels
    logits = np.zeros((2, num, num_classes), dtype=np.float32)
    kl, distance = (
        np.zeros((num, len(pairs), num_heads), dtype=np.float32),
        np.zeros((num, len(pairs)), dtype=np.float32),
    )
    hidden = student.config.hidden_size
    student_cls = np.zeros((len(pairs), num, hidden), dtype=np.float32) if with_cka else None
    teacher_cls = np.zeros((num_teacher_layers, num, hidden), dtype=np.float32) if with_cka else None
    was_training = student.training
    student.eval()
    try:
        for positions in encoded.evaluation_batches():
            tick()
            batch = encoded.batch(positions).to(device)
            teacher = outputs.gather(batch, needs)
            with torch.no_grad():
                traced = trace(student, *batch.inputs, record=[layer for layer, _ in pairs])
                student_logits = classify(student, traced.last)
                logits[0, positions], logits[1, positions] = _numpy(teacher.logits), _numpy(student_logits)
                for number, (student_layer, teacher_layer) in enumerate(pairs):
                    kl[positions, number] = _numpy(
                        losses.attention_kl_per_head(
                            teacher.log_probs[teacher_layer],
                            traced.log_probs[student_layer],
                            batch.attention_mask,
                        )
                    )
                    distance[positions, number] = _numpy(
                        losses.cls_distance_per_example(teacher.cls[teacher_layer], traced.cls[student_layer])
                    )
            if with_cka:
                for layer in range(len(pairs)):
                    student_cls[layer, positions] = _numpy(traced.cls[layer])
                for layer in range(num_teacher_layers):
                    teacher_cls[layer, positions] = _numpy(teacher.cls[layer])
    finally:
        student.train(was_training)
    cka = cka_matrix(student_cls, teacher_cls) if with_cka else None
    return Evaluated(
        index=encoded.index,
        labels=encoded.labels.astype(np.int64),
        teacher_logits=logits[0],
        student_logits=logits[1],
        attention_kl=kl,
        cls_distance=distance,
        cka=cka,
    )


def predict(model: nn.Module, encoded: EncodedSet, *, tick: Callable[[], None] = lambda: None) -> np.ndarray:
    """Logits (n, classes) of a classifier in eval mode, in float32."""
    device = next(model.parameters()).device
    logits = np.zeros((len(encoded), model.config.num_labels), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for positions in encoded.evaluation_batches():
                tick()
                logits[positions] = _numpy(
                    classify(model, trace(model, *encoded.batch(positions).to(device).inputs).last)
                )
    finally:
        model.train(was_training)
    return logits


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
