"""What a run recorded, as CSV that opens in a spreadsheet: its curves, and its predictions."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from kdviz.method.term import Term
from kdviz.method.terms import recorded_terms
from kdviz.metrics import predictions
from kdviz.runs.reader import Run
from kdviz.text import FORMULA


def curves_csv(run: Run) -> str:
    """One row a recorded moment: where ("evaluation" over the examples, "presets" over those), step, epoch,
    attention KL in nats, CLS distance and whatever further term was measured of every matched pair (layers
    from 1), metrics, agreement.
    """
    further = recorded_terms((*run.evals, *run.probe_lines))
    metrics = sorted({name for line in run.evals for name in line.get("metrics", {})})
    pairs = [f"student_{student + 1}_teacher_{teacher + 1}" for student, teacher in run.pairs]
    head = [
        "over", "step", "epoch",
        *(f"attention_kl_nats_{pair}" for pair in pairs), *(f"cls_distance_{pair}" for pair in pairs),
        *(f"{_column(term)}_{pair}" for term in further for pair in pairs),
        *metrics, *(f"teacher_{name}" for name in metrics), "n", "agreement", "logit_kl_nats",
    ]  # fmt: skip

    def row(line: dict, over: str) -> list:
        mismatch, scores = line.get("mismatch", {}), line.get("metrics", {})
        teacher = line.get("teacher_metrics", {})
        return [
            over, line.get("step"), line.get("epoch"),
            *_as_long(mismatch.get("attention_kl", ()), pairs),
            *_as_long(mismatch.get("cls_distance", ()), pairs),
            *(value for term in further for value in _as_long(mismatch.get(term.key) or (), pairs)),
            *(scores.get(name) for name in metrics), *(teacher.get(name) for name in metrics),
            line.get("n"), line.get("agreement"), line.get("logit_kl"),
        ]  # fmt: skip

    rows = [row(line, "evaluation") for line in run.evals] + [
        row(line, "presets") for line in run.probe_lines
    ]
    return _csv(head, rows)


def predictions_csv(run: Run) -> str:
    """One row an example of the last evaluation whose answers are stored: its row in the data, label, what
    teacher and student answer, their logits, attention KL and CLS distance of every pair; empty where they
    are not finite. KeyError where none is stored.
    """
    epochs = run.evaluated_epochs
    if not epochs:
        raise KeyError("evaluations")
    stored = run.evaluation(epochs[-1])
    classes = range(stored.teacher_logits.shape[1])
    pairs = [f"student_{student + 1}_teacher_{teacher + 1}" for student, teacher in run.pairs]
    names = [str(name) for name in run.config.get("labels", ())] or [str(number) for number in classes]
    head = [
        "row", "label", "label_name", "teacher_answer", "student_answer",
        *(f"teacher_logit_{number}" for number in classes),
        *(f"student_logit_{number}" for number in classes),
        *(f"attention_kl_nats_{pair}" for pair in pairs), *(f"cls_distance_{pair}" for pair in pairs),
    ]  # fmt: skip
    answered = [predictions(stored.teacher_logits), predictions(stored.student_logits)]
    rows = [
        [
            int(stored.index[place]), int(label), names[int(label)] if label < len(names) else "",
            *(int(answers[place]) if answers[place] >= 0 else None for answers in answered),
            *_numbers(stored.teacher_logits[place]), *_numbers(stored.student_logits[place]),
            *_numbers(stored.attention_kl[place]), *_numbers(stored.cls_distance[place]),
        ]
        for place, label in enumerate(stored.label)
    ]  # fmt: skip
    return _csv(head, rows)


def _column(term: Term) -> str:
    return f"{term.key}_nats" if term.unit == "nats" else term.key


def _as_long(values: Sequence, wanted: Sequence) -> list:
    return [*values, *[None] * (len(wanted) - len(values))][: len(wanted)]


def _numbers(values: Iterable) -> list[float | None]:
    return [float(f"{float(value):.7g}") if math.isfinite(value) else None for value in values]


def _csv(head: Sequence, rows: Iterable[Sequence]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(each) for each in head])
    writer.writerows([_cell(each) for each in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
