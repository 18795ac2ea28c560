"""Which of two kinds of student is farther from the teacher inside, and whether their examples can tell. The
one rule: the first screen, the picture, verdicts and the Answers page all ask here or `farther` itself.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from kdviz.analysis.answers import Farther, Inside, farther, inside
from kdviz.analysis.comparable import same_examples
from kdviz.analysis.divergence import divergence
from kdviz.runs.arrays import Damaged
from kdviz.runs.parts import Probe
from kdviz.runs.reader import Run
from kdviz.text import times_between

PRESETS = "presets"


@dataclass(frozen=True, kw_only=True)
class Apart:
    """`farther` of two sides (its `place` says which), over the `over` that both answer as the teacher."""

    farther: Farther
    over: str

    @property
    def is_told_apart(self) -> bool:
        return self.farther.is_told_apart

    @property
    def one(self) -> str:
        """What one of those is called."""
        return "preset" if self.over == PRESETS else "example"

    @property
    def interval_words(self) -> str:
        """What stands behind the number, in words."""
        found = self.farther
        return (
            f"At the end: median attention KL over the {found.num_examples:,} {self.over} on which both give "
            f"the teacher’s answer; 95 % interval of the ratio {times_between(found.low, found.high)}"
        )


def apart(first: Sequence[Run], second: Sequence[Run]) -> Apart | None:
    """The seeds of one kind of student against those of another, by their last evaluations; by the presets
    where no evaluation is stored.

    None where a run diverged, where they were evaluated on other examples, where nothing comparable is
    stored, or where too few examples are shared.
    """
    runs = (*first, *second)
    if not first or not second or any(divergence(run) or not same_examples(run, runs[0]) for run in runs):
        return None
    for over, read in (("evaluation examples", _of_evaluation), (PRESETS, _of_presets)):
        sides = [[read(run) for run in runs] for runs in (first, second)]
        if any(each is None for side in sides for each in side):
            continue
        if found := farther(*(_mean_of_seeds(side) for side in sides)):
            return Apart(farther=found, over=over)
    return None


def _of_evaluation(run: Run) -> Inside | None:
    epochs = run.evaluated_epochs
    if not epochs:
        return None
    try:
        return _stored(run.folder, str(run.config.get("created")), epochs[-1])
    except (KeyError, Damaged):
        return None


@lru_cache(maxsize=64)
def _stored(folder: Path, created: str, epoch: int) -> Inside:
    found = Run(folder).evaluation(epoch)
    return inside(found.index, found.teacher_logits, found.student_logits, found.attention_kl)


def _of_presets(run: Run) -> Inside | None:
    recorded = (run.probe_lines[-1].get("probes") or {}) if run.probe_lines else {}
    known = [
        (_number_of(probe), probe.teacher_logits, recorded[probe.id])
        for probe in run.probes
        if (recorded.get(probe.id) or {}).get("student_logits") and recorded[probe.id].get("attention_kl")
    ]
    if not known:
        return None
    teacher, student, kl = (
        np.array(values, dtype=float)
        for values in (
            [logits for _, logits, _ in known],
            [line["student_logits"] for _, _, line in known],
            [line["attention_kl"] for _, _, line in known],
        )
    )
    return inside([number for number, _, _ in known], teacher, student, kl)


def _number_of(probe: Probe) -> int:
    """What a preset is known by beside another run's: its sentence, wherever a version has it in its list."""
    return zlib.crc32(repr((probe.id, probe.text_a, probe.text_b)).encode())


def _mean_of_seeds(seeds: Sequence[Inside]) -> Inside:
    """One side: the mean attention KL of each example over the seeds, those examples alone that all seeds
    have; it agrees where every seed does.
    """
    if len(seeds) == 1:
        return seeds[0]
    index = seeds[0].index
    for each in seeds[1:]:
        index = np.intersect1d(index, each.index)
    rows = []
    for each in seeds:
        order = np.argsort(each.index)
        rows.append(order[np.searchsorted(each.index, index, sorter=order)])
    pick = lambda name: np.stack([getattr(each, name)[row] for each, row in zip(seeds, rows, strict=True)])
    return Inside(
        index=index,
        output_kl=pick("output_kl").mean(axis=0),
        attention_kl=pick("attention_kl").mean(axis=0),
        agrees=pick("agrees").all(axis=0),
    )
