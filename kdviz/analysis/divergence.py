"""Whether a training has diverged, measured against its own start. The one definition: lists, verdicts, means
of studies and the report all ask here.
"""

import math
from collections.abc import Sequence

from kdviz.runs.reader import Run

LARGEST_TIMES = 20.0
"""An attention KL or output KL this many times that before training is no training any more."""

SMALLEST_START_NATS = {"attention KL": 0.25, "output KL": 1.0}
"""A student that begins close to its teacher may drift this far and be many times its start: soft labels
alone leave the inside free, and hard labels the certainty of the answers.
"""


def divergence(run: Run) -> str | None:
    """Why the run's last evaluation is that of a diverged training, in words; None where it is not, or where
    nothing was evaluated behind the start.
    """
    evals = run.evals
    if len(evals) < 2:
        return None
    first, last = evals[0], evals[-1]
    known = {"attention KL": _mean_kl(first), "output KL": first["logit_kl"]}
    now = {"attention KL": _mean_kl(last), "output KL": last["logit_kl"]}
    for name, value in now.items():
        if value is None:
            return f"its {name} is not finite any more"
        start = known[name]
        if start is not None and value > LARGEST_TIMES * max(start, SMALLEST_START_NATS[name]):
            when = f"after epoch {first['epoch']}" if first["epoch"] else "before training"
            return f"its {name} ended at {_short(value)} nats, {_short(start)} {when}"
    for name, value in last["metrics"].items():
        if value is None and first["metrics"].get(name) is not None:
            return "its scores are not finite any more"
    distances = zip(first["mismatch"]["cls_distance"], last["mismatch"]["cls_distance"])
    if any(after is None and before is not None for before, after in distances):
        return "its CLS distance is not finite any more"
    return None


def divergence_words(run: Run) -> str:
    """That in a sentence, for what is read without its pages; "" where the run did not diverge."""
    reason = divergence(run)
    return f"This training diverged: {reason}. Its numbers are no result." if reason else ""


def _mean_kl(line: dict) -> float | None:
    values: Sequence[float | None] = line["mismatch"]["attention_kl"]
    return None if None in values else sum(values) / len(values)


def _short(value: float) -> str:
    return (
        f"{value:,.0f}"
        if value >= 100
        else f"{value:.{2 if value < 10 else 1}f}"
        if math.isfinite(value)
        else "∞"
    )
