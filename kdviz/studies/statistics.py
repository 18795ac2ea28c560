"""Intervals and tests: how much a number would change with other seeds, or with other examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from kdviz.analysis.gap import ScoreGap, paired_gap
from kdviz.metrics import LEVEL, METRICS
from kdviz.task import Task


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean over `n` seeds with its 95 % t-interval; `low` and `high` are None for fewer than two seeds."""

    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0

    def to_dict(self) -> dict:
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class Difference(ScoreGap):
    """`first` minus `second` on the same examples and seeds. `p_seeds`: the paired t-test's over the seeds,
    None for fewer than two.
    """

    seeds: tuple[int, ...]
    p_seeds: float | None

    @property
    def holds_over_seeds(self) -> bool:
        """Whether the seeds bear the sign out too; never of one seed."""
        return len(self.seeds) > 1 and (self.p_seeds is None or self.p_seeds < 1 - LEVEL)

    def to_dict(self) -> dict:
        return {**vars(self), "seeds": list(self.seeds)}

    @classmethod
    def from_dict(cls, values: Mapping) -> "Difference":
        """What `to_dict` wrote, among other keys."""
        own = {item.name: values[item.name] for item in fields(cls)}
        return cls(**{**own, "seeds": tuple(own["seeds"])})


def spread(values: Sequence[float]) -> Spread:
    """Mean and t-interval of one number a seed (scipy.stats.t.interval of the mean's standard error)."""
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return Spread(mean=None)
    mean = float(values.mean())
    if len(values) < 2:
        return Spread(mean=mean, n=1)
    error = float(stats.sem(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, loc=mean, scale=error) if error > 0 else (mean, mean)
    return Spread(mean=mean, low=float(low), high=float(high), n=len(values))


def paired_difference(
    task: Task,
    metric: str,
    labels: np.ndarray,
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    seeds: Sequence[int],
) -> Difference:
    """Score of `first` minus score of `second`, mean over seeds, with its paired bootstrap over the examples
    (`kdviz.metrics.paired_interval`).

    `labels` (n,); `first` and `second` hold predicted class ids (n,) of one run a seed.
    """
    scores = [[METRICS[metric](labels, each, task.num_labels) for each in side] for side in (first, second)]
    gap = paired_gap(task, metric, labels, first, second)
    return Difference(**vars(gap), seeds=tuple(seeds), p_seeds=_paired_t(*scores))


def _paired_t(first: Sequence[float], second: Sequence[float]) -> float | None:
    from scipy import stats

    gaps = np.subtract(first, second)
    if len(gaps) < 2 or np.ptp(gaps) == 0:
        return None
    return float(stats.ttest_rel(first, second).pvalue)
