"""Scores of strategies side by side, over the seeds there are, and what may honestly be said of them. No
streamlit here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdviz.analysis.divergence import divergence
from kdviz.method.stages import STRATEGIES
from kdviz.runs.reader import Run
from kdviz.text import code
from kdviz.ui.frame.words import mean_of, metric_title

INTERNAL = ("all", "pid", "sid")


@dataclass(frozen=True, kw_only=True)
class StrategyScore:
    """One strategy over its seeds, at the last evaluation of each run.

    `low` and `high` are the smallest and largest score of the seeds where there are several, else the
    bootstrap interval over the `num_examples` evaluation examples (None where the run has none).
    `attention_kl` in nats, mean over matched pairs and seeds.
    """

    strategy: str
    num_seeds: int
    num_examples: int
    score: float
    low: float | None
    high: float | None
    attention_kl: float
    agreement: float


def by_strategy(runs: Sequence[Run], metric: str) -> list[StrategyScore]:
    """One row a strategy, in the paper's order, from runs that are otherwise alike."""
    rows = []
    for strategy in STRATEGIES:
        lines = {run.seed: run.evals[-1] for run in reversed(runs) if run.strategy == strategy and run.evals}
        lines = [line for line in lines.values() if line["metrics"].get(metric) is not None]
        if not lines:
            continue
        scores = [line["metrics"][metric] for line in lines]
        interval = (lines[0].get("intervals") or {}).get(metric) or (None, None)
        rows.append(
            StrategyScore(
                strategy=strategy,
                num_seeds=len(lines),
                num_examples=int(lines[0].get("n", 0)),
                score=mean_of(scores),
                low=min(scores) if len(lines) > 1 else interval[0],
                high=max(scores) if len(lines) > 1 else interval[1],
                attention_kl=mean_of([mean_of(line["mismatch"]["attention_kl"]) for line in lines]),
                agreement=mean_of([line["agreement"] for line in lines]),
            )
        )
    return rows


def verdict(rows: Sequence[StrategyScore], metric: str) -> str:
    """What these rows say about internal distillation against soft labels, in plain words; "" where they
    cannot say anything.
    """
    soft = next((row for row in rows if row.strategy == "soft"), None)
    internal = [row for row in rows if row.strategy in INTERNAL and not math.isnan(row.attention_kl)]
    if soft is None or not internal or math.isnan(soft.attention_kl):
        return ""
    closest = min(internal, key=lambda row: row.attention_kl)
    best = max(internal, key=lambda row: row.score)
    inside = (
        f"Inside: `{closest.strategy}` ends at an attention KL of {closest.attention_kl:.2f} nats, "
        f"soft labels alone at {soft.attention_kl:.2f}"
    )
    if 0 < closest.attention_kl < soft.attention_kl:
        inside += f" ({soft.attention_kl / closest.attention_kl:.1f} times as far from the teacher)"
    numbers = (
        f"{metric_title(metric)} {best.score:.2f} with `{best.strategy}`, {soft.score:.2f} with soft "
        "labels alone"
    )
    if best.score <= soft.score:
        return f"{inside}. Outside: internal distillation **does not beat** soft labels here: {numbers}."
    if best.low is not None and soft.high is not None and best.low > soft.high:
        where = (
            f"in every one of {best.num_seeds} seeds"
            if min(best.num_seeds, soft.num_seeds) > 1
            else "and the intervals do not overlap"
        )
        small = (
            f" (by {best.score - soft.score:.3f}: far less than the interval over the examples)"
            if best.num_seeds > 1 and best.score - soft.score < 0.03
            else ""
        )
        return f"{inside}. Outside: {numbers}; internal distillation scores higher {where}{small}."
    spread = (
        "the seeds differ by more than that"
        if min(best.num_seeds, soft.num_seeds) > 1
        else "the intervals overlap, and this is one seed"
    )
    return f"{inside}. Outside: {numbers}. That is **no clear win**: {spread}."


def score_text(row: StrategyScore) -> str:
    """The score with its spread: 0.22 [0.18, 0.26]."""
    return f"{row.score:.2f}" if row.low is None else f"{row.score:.2f} [{row.low:.2f}, {row.high:.2f}]"


def spread_text(rows: Sequence[StrategyScore]) -> str:
    """What the brackets mean."""
    seeds = {row.num_seeds for row in rows}
    examples = f"n = {max((row.num_examples for row in rows), default=0):,}"
    if max(seeds, default=1) > 1:
        return (
            "mean and range over "
            f"{'–'.join(str(number) for number in sorted({min(seeds), max(seeds)}))} seeds, {examples}"
        )
    return f"brackets: 95 % interval, {examples}, one seed"


def verdict_of_pair(runs: Sequence[Run], lines: dict[str, dict], names: dict[str, str], metric: str) -> str:
    """What the first run's score says against the second's: which is higher, and whether that can be told
    apart; "" for one run.
    """
    if len(runs) < 2:
        return ""
    (first, second), values = runs[:2], []
    for run in runs[:2]:
        if divergence(run):
            return f"{code(names[run.id])} diverged: its score is no result, so there is no verdict."
    for run in (first, second):
        line = lines[run.id]
        values.append(
            (line["metrics"].get(metric), (line.get("intervals") or {}).get(metric) or (None, None))
        )
    (value, interval), (other, other_interval) = values
    if value is None or other is None:
        return ""
    if value == other:
        return f"{code(names[first.id])} and {code(names[second.id])} score the same here."
    high, low = (first, second) if value > other else (second, first)
    lower_end, upper_end = (
        (interval[0], other_interval[1]) if value > other else (other_interval[0], interval[1])
    )
    if lower_end is not None and upper_end is not None and lower_end <= upper_end:
        return (
            f"{code(names[high.id])} scores higher than {code(names[low.id])}, but "
            "**the intervals overlap**: these examples cannot tell them apart."
        )
    return f"{code(names[high.id])} scores higher than {code(names[low.id])}; this is one seed each."
