"""What the two models answer, and what goes on inside while they do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

import numpy as np
from cachetools import LRUCache, cached

from kdviz.metrics import predictions


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Per example, outside against inside: arrays of length n in the order of `index`.

    `output_kl` KL(teacher's ‖ student's class probabilities) and `attention_kl` (mean over matched pairs),
    both in nats; `agrees` whether both predict the same class.
    """

    index: np.ndarray
    output_kl: np.ndarray
    attention_kl: np.ndarray
    agrees: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RightWrong:
    """Teacher right/wrong against student right/wrong over n examples.

    `counts[t][s]` with t, s = 0 for right, 1 for wrong; `rows[t][s]` the positions of these examples in the
    arrays given. `repeated_mistakes` is the share of the teacher's mistakes on which the student predicts the
    same wrong class, and `kept_right` the share of the teacher's right answers which the student keeps (the
    paper's Table 3); None when the teacher has none. An answer that is none (logits that are not finite) is
    wrong and repeats nothing; `unanswered` of the student's are.
    """

    counts: np.ndarray
    rows: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    repeated_mistakes: float | None
    kept_right: float | None
    unanswered: int = 0

    @property
    def num_examples(self) -> int:
        return int(self.counts.sum())


def output_kl(teacher_logits: np.ndarray, student_logits: np.ndarray) -> np.ndarray:
    """KL(teacher ‖ student) of the class probabilities at temperature 1, in nats, (n,)."""
    teacher, student = _log_softmax(teacher_logits), _log_softmax(student_logits)
    with np.errstate(invalid="ignore"):
        return np.maximum((np.exp(teacher) * (teacher - student)).sum(axis=-1), 0.0)


def inside(
    index: Sequence[int], teacher_logits: np.ndarray, student_logits: np.ndarray, attention_kl: np.ndarray
) -> Inside:
    """Collects outside and inside of n examples. `attention_kl` has shape (n, pairs) in nats and is averaged
    over pairs. Examples whose numbers are not finite (a diverged student) are left out.
    """
    kl = np.asarray(attention_kl, dtype=np.float64)
    kl = kl.mean(axis=1) if kl.ndim == 2 else kl
    outside = output_kl(teacher_logits, student_logits)
    kept = np.isfinite(kl) & np.isfinite(outside)
    return Inside(
        index=np.asarray(index)[kept],
        output_kl=outside[kept],
        attention_kl=kl[kept],
        agrees=(predictions(teacher_logits) == predictions(student_logits))[kept],
    )


@dataclass(frozen=True, kw_only=True)
class Farther:
    """How many times as far inside one run is as the other: the ratio of the median attention KL over the
    `num_examples` on which both give the teacher's answer, 1 or more.

    `place` (0 or 1) is the farther run; `low` and `high` are its 95 % bootstrap interval, both runs drawn
    together because they answer the same examples.
    """

    place: int
    times: float
    low: float
    high: float
    num_examples: int

    @property
    def is_told_apart(self) -> bool:
        """Whether the examples tell which run is farther."""
        return self.low > 1


FEWEST_EXAMPLES, DRAWN_NUMBERS = 6, 2_000_000


def sums_of(arrays: Iterable[np.ndarray]) -> tuple[bytes, ...]:
    """Equal for equal arrays: what was found of their numbers is kept by these."""
    return tuple(sha256(f"{array.dtype}".encode() + array.tobytes()).digest() for array in arrays)


def _numbers_of(first: Inside, second: Inside) -> tuple[bytes, ...]:
    """A key of all that `farther` reads."""
    return sums_of(each for side in (first, second) for each in (side.index, side.agrees, side.attention_kl))


@cached(LRUCache(maxsize=256), key=_numbers_of, lock=Lock())
def farther(first: Inside, second: Inside) -> Farther | None:
    """Which of two runs is farther from the teacher inside; None where too few examples are shared to say.

    Its draws take a tenth of a second, and every page that compares two runs asks: kept by the numbers.
    """
    shared = np.intersect1d(first.index[first.agrees], second.index[second.agrees])
    sides = []
    for run in (first, second):
        order = np.argsort(run.index)
        sides.append(run.attention_kl[order[np.searchsorted(run.index, shared, sorter=order)]])
    medians = [float(np.median(side)) for side in sides] if len(shared) else [0.0]
    if len(shared) < FEWEST_EXAMPLES or min(medians) <= 0:
        return None
    place = int(medians[1] > medians[0])
    far, near = sides[place], sides[1 - place]
    draws = int(np.clip(DRAWN_NUMBERS // len(shared), 100, 1000))
    rows = np.random.default_rng(0).integers(0, len(shared), (draws, len(shared)))
    ratios = np.median(far[rows], axis=1) / np.maximum(np.median(near[rows], axis=1), np.finfo(float).tiny)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Farther(
        place=place,
        times=medians[place] / medians[1 - place],
        low=float(low),
        high=float(high),
        num_examples=len(shared),
    )


def rank_inside(first: Inside, second: Inside | None = None) -> list[dict]:
    """Examples which give the teacher's answer, most different inside first.

    With one run: rows {"index", "output_kl", "attention_kl"} ordered by attention KL. With two (say soft-only
    and internal) only examples known to both, on which both students agree with the teacher: rows {"index",
    "output_kl", "attention_kl", "other_output_kl", "other_attention_kl", "times"} ordered by how far apart
    the two are, |first − second|; `times` is first / second (None when second is 0).
    """
    if second is None:
        order = np.argsort(-first.attention_kl, kind="stable")
        return [_row(first, place) for place in order if first.agrees[place]]
    where = {int(index): place for place, index in enumerate(second.index)}
    rows = []
    for place, index in enumerate(first.index):
        other = where.get(int(index))
        if other is None or not first.agrees[place] or not second.agrees[other]:
            continue
        row = _row(first, place)
        row["other_output_kl"] = float(second.output_kl[other])
        row["other_attention_kl"] = float(second.attention_kl[other])
        row["times"] = (
            row["attention_kl"] / row["other_attention_kl"] if row["other_attention_kl"] > 0 else None
        )
        rows.append(row)
    return sorted(rows, key=lambda row: -abs(row["attention_kl"] - row["other_attention_kl"]))


def right_wrong(label: Sequence[int], teacher_logits: np.ndarray, student_logits: np.ndarray) -> RightWrong:
    """The table teacher right/wrong × student right/wrong from class ids (n,) and (n, classes) logits.
    ValueError where they are not of the same n examples.
    """
    label = np.asarray(label)
    teacher, student = predictions(teacher_logits), predictions(student_logits)
    if not len(label) == len(teacher) == len(student):
        raise ValueError(
            f"expected one label and two rows of logits an example, got {len(label)}, {len(teacher)} and "
            f"{len(student)}"
        )
    sides = [(teacher == label, student == label), (teacher != label, student != label)]
    rows = tuple(tuple(np.flatnonzero(sides[t][0] & sides[s][1]) for s in (0, 1)) for t in (0, 1))
    counts = np.array([[len(cell) for cell in line] for line in rows])
    mistakes, right = int(counts[1].sum()), int(counts[0].sum())
    repeated = int(((teacher != label) & (teacher == student) & (student >= 0)).sum())
    return RightWrong(
        counts=counts,
        rows=rows,
        repeated_mistakes=repeated / mistakes if mistakes else None,
        kept_right=int(counts[0, 0]) / right if right else None,
        unanswered=int((student < 0).sum()),
    )


def right_wrong_by_phenomenon(
    phenomena: Sequence[str | None],
    label: Sequence[int],
    teacher_logits: np.ndarray,
    student_logits: np.ndarray,
) -> dict[str, RightWrong]:
    """`right_wrong` for each phenomenon (n,), alphabetical; examples without one are left out. `rows` are
    positions in the arrays given.
    """
    names = np.array([name or "" for name in phenomena], dtype=object)
    tables = {}
    for name in sorted(set(names) - {""}):
        members = np.flatnonzero(names == name)
        table = right_wrong(
            np.asarray(label)[members],
            np.asarray(teacher_logits)[members],
            np.asarray(student_logits)[members],
        )
        rows = tuple(tuple(members[cell] for cell in line) for line in table.rows)
        tables[name] = RightWrong(
            counts=table.counts,
            rows=rows,
            repeated_mistakes=table.repeated_mistakes,
            kept_right=table.kept_right,
            unanswered=table.unanswered,
        )
    return tables


def _row(run: Inside, place: int) -> dict:
    return {
        "index": int(run.index[place]),
        "output_kl": float(run.output_kl[place]),
        "attention_kl": float(run.attention_kl[place]),
    }


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
