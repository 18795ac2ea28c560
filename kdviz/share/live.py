"""A run while it goes: what the live view shows, as words and short arrays. Pure reading, no screen.

However long a run is, a curve here has at most `MOST_POINTS` points, and `Run` has parsed every line once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from kdviz.figures.curves import further_terms
from kdviz.jobs.queue import Queue
from kdviz.runs.parts import thinned
from kdviz.runs.reader import Run
from kdviz.runs.store import Store, Unreadable

MOST_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The probes' mismatch through training: `epochs` and `steps` (m,), `attention_kl` (m, pairs) in nats,
    `cls_distance` (m, pairs), `others` those of the further terms trained, by name in metrics.jsonl.
    """

    epochs: list[float]
    steps: list[int]
    attention_kl: np.ndarray
    cls_distance: np.ndarray
    others: dict[str, np.ndarray]


def mismatch_so_far(run: Run) -> Mismatch | None:
    """What was measured on the probes until now; None before the first moment."""
    lines = thinned([line for line in run.probe_lines if _is_whole(line, len(run.pairs))], MOST_POINTS)
    if not lines:
        return None
    kl, distance = (
        np.array([line["mismatch"][name] for line in lines], dtype=float)
        for name in ("attention_kl", "cls_distance")
    )
    return Mismatch(
        epochs=[float(line["epoch"]) for line in lines],
        steps=[int(line["step"]) for line in lines],
        attention_kl=kl,
        cls_distance=distance,
        others=further_terms(lines, len(run.pairs)),
    )


def _is_whole(line: dict, num_pairs: int) -> bool:
    mismatch = line.get("mismatch") or {}
    return all(len(mismatch.get(name) or ()) == num_pairs for name in ("attention_kl", "cls_distance"))


OUTPUTS_SHARE = 0.1
"""Of the part behind the teacher, what computing its outputs is taken to be."""


def progress_share(run: Run, status: dict) -> float:
    """How much of the whole run is done, 0 to 1, whatever its files say: the teacher's fine-tuning, where
    this run does it, its outputs, and the distillation. It never goes back from one phase to the next: what
    is measured before the outputs are made counts for nothing.
    """
    phase, share = str(status.get("phase")), _number(status.get("phase_progress")) or 0.0
    share = min(max(share, 0.0), 1.0)
    before = teacher_part(run) if phase == "teacher" or run.lines("teacher") else 0.0
    if phase == "loading":
        return 0.0 if not run.train_lines else before
    if phase == "teacher":
        return before * share
    step, total = _number(status.get("step")), _number(status.get("total_steps"))
    done = step / total if step is not None and total else 0.0
    if phase in ("measuring cost", "done"):
        done = 1.0
    if done <= 0 and not status.get("teacher_outputs"):
        is_shown = status.get("stage") is not None
        return before + (1 - before) * OUTPUTS_SHARE * share * is_shown
    return min(1.0, before + (1 - before) * (OUTPUTS_SHARE + (1 - OUTPUTS_SHARE) * max(0.0, done)))


def teacher_part(run: Run) -> float:
    """The teacher's share of the whole, 0 to 1: by the plan's seconds, else by layers times epochs."""
    planned = run.config.get("planned")
    seconds = planned if isinstance(planned, dict) else {}
    teacher, rest = _number(seconds.get("teacher_seconds")), _number(seconds.get("seconds"))
    if teacher is None or rest is None:
        layers = (run.config.get("teacher_num_layers"), run.config.get("student_layers"))
        epochs = (run.config.get("teacher_epochs"), run.config.get("epochs"))
        teacher, rest = (
            (_number(a) or 1.0) * (_number(b) or 1.0) for a, b in zip(layers, epochs, strict=True)
        )
    return min(max(teacher / (teacher + rest), 0.0), 1.0) if teacher + rest > 0 else 0.0


def seconds_left(run: Run, status: dict, now: datetime) -> float | None:
    """Seconds to the end: the loop's own figure while it distils; while the teacher is fine-tuned, at the
    pace seen so far and with the plan's estimate for the rest. None where nothing is known.
    """
    left = _number(status.get("seconds_left"))
    if left is not None:
        return left
    share, planned = (
        _number(status.get("phase_progress")),
        _number((run.config.get("planned") or {}).get("seconds")),
    )
    if status.get("phase") != "teacher" or not share or planned is None:
        return None
    try:
        elapsed = (now - datetime.fromisoformat(str(status.get("started")))).total_seconds()
    except (ValueError, TypeError):
        return None
    if share <= 0.03 or elapsed < 0:  # the clock was put back
        return None
    return elapsed * (1 - share) / share + planned


@dataclass(frozen=True, kw_only=True)
class Scores:
    """`student` and `teacher` by metric as far as known, of how many examples, after which epoch; the
    teacher's `warning`; `labels`: how the classes of a checkpoint that was used as it is were put in order.
    """

    student: dict
    teacher: dict
    agreement: float | None
    num_examples: int | None
    epoch: int | None
    majority: float | None
    warning: str | None
    labels: str | None


def latest_scores(run: Run) -> Scores:
    """The scores known by now: the teacher's come first, the student's with every evaluation."""
    last = (run.evals or [{}])[-1]
    teacher = (run.lines("teacher_score") or [{}])[-1]
    return Scores(
        student=last.get("metrics") or {},
        teacher=teacher.get("metrics") or last.get("teacher_metrics") or {},
        agreement=last.get("agreement"),
        num_examples=last.get("n") or teacher.get("n"),
        epoch=last.get("epoch"),
        majority=teacher.get("majority"),
        warning=teacher.get("warning"),
        labels=label_message(run),
    )


def label_message(run: Run) -> str | None:
    """How the teacher's classes were found to be the task's, where that was a question."""
    order = run.config.get("teacher_labels")
    message = order.get("message") if isinstance(order, dict) else None
    return message if isinstance(message, str) else None


def how_it_runs(run: Run) -> list[str]:
    """What a run's speed depends on, as far as its files say: where the teacher's outputs come from and why,
    the arithmetic of the training steps and why, and the share of the time that evaluations take.
    """
    outputs, dtype, reason = (
        str(each or "")
        for each in (
            run.status.get("teacher_outputs"),
            run.config.get("dtype"),
            run.config.get("dtype_reason"),
        )
    )
    summary = run.summary
    seconds = summary.get("seconds") if isinstance(summary, dict) else None
    training, evaluation = (
        (_number(seconds.get(name)) for name in ("training", "evaluation"))
        if isinstance(seconds, dict)
        else (None, None)
    )
    return [
        *([f"teacher's outputs {outputs}"] if outputs else []),
        *([f"training steps in {dtype}" + (f" ({reason})" if reason else "")] if dtype else []),
        *(
            [f"evaluations took {evaluation / (training + evaluation):.0%} of the time"]
            if training and evaluation
            else []
        ),
    ]


def _number(value: object) -> float | None:
    return (
        float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
        else None
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run in the list of runs. `state` is a run's state, or stopping. `place` counts from 1 among the
    turns that wait: runs that are trained together have one.
    """

    run: Run
    state: str
    place: int | None = None
    waits_elsewhere: bool = False
    note: str | None = None

    @property
    def is_active(self) -> bool:
        return self.state in ("running", "stopping") or self.place is not None or self.waits_elsewhere

    @property
    def is_left_over(self) -> bool:
        """Waiting on disk, but in no server's queue: its server ended."""
        return self.state == "queued" and self.place is None and not self.waits_elsewhere


@dataclass(frozen=True, kw_only=True)
class Board:
    """All runs of the runs folder and where they stand, newest first, as one server sees them now.

    `next_place`: of a run that would be asked for now; 0 where it would start at once.
    """

    rows: tuple[Row, ...]
    unreadable: tuple[Unreadable, ...]
    next_place: int

    @property
    def signature(self) -> tuple:
        """Changes when the page has to be drawn anew: a run came, went, or is in another state or place."""
        return tuple((row.run.id, row.state, row.place, row.waits_elsewhere, row.note) for row in self.rows)

    @property
    def training(self) -> Row | None:
        """The run being trained, this server's first."""
        return next((row for row in self.rows if row.state in ("running", "stopping")), None)

    def row(self, run_id: str | None) -> Row | None:
        return next((row for row in self.rows if row.run.id == run_id), None)


def board_of(store: Store, queue: Queue) -> Board:
    """Read where every run stands. One pass over the runs folder, without reading metrics."""
    runs, unreadable = [], []
    for entry in store.list():
        if isinstance(entry, Unreadable):
            unreadable.append(entry)
        elif not entry.is_demo:
            runs.append(entry)
    places = _places(queue, runs)
    rows = [_row(run, queue, places.get(run.id)) for run in runs]
    return Board(
        rows=tuple(sorted(rows, key=lambda row: row.run.id not in queue.training)),
        unreadable=tuple(unreadable),
        next_place=max(places.values(), default=0) + bool(queue.training),
    )


def _places(queue: Queue, runs: Sequence[Run]) -> dict[str, int]:
    """The place of every run that waits: runs of one group are trained in one turn."""
    together = ((run.id, run.config.get("together")) for run in runs)
    group_of = {run_id: name for run_id, name in together if isinstance(name, str)}
    waiting = {run_id: group_of.get(run_id, run_id) for run_id in queue.waiting}
    turns = list(dict.fromkeys(waiting.values()))
    return {run_id: turns.index(turn) + 1 for run_id, turn in waiting.items()}


def _row(run: Run, queue: Queue, place: int | None) -> Row:
    state = run.state
    if run.id in queue.training:
        place = None
        if state not in ("running", "finished", "failed"):
            state = "running"  # taken from the queue a moment ago; its files will say so soon
    if queue.is_stopping(run.id):
        state = "stopping"
    waits_elsewhere = state == "queued" and place is None and queue.waits_elsewhere(run.id)
    return Row(run=run, state=state, place=place, waits_elsewhere=waits_elsewhere, note=queue.note(run.id))
