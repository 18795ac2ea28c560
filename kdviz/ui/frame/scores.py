"""Scores of strategies side by side, over the seeds there are, and what may honestly be said of them. No
streamlit here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdviz.analysis.apart import apart
from kdviz.analysis.cautions import is_untrained
from kdviz.analysis.divergence import divergence
from kdviz.analysis.gap import answered_others, score_gap
from kdviz.figures.base import numbers_of_examples
from kdviz.method.strategies import STRATEGIES
from kdviz.metrics import mean_of
from kdviz.runs.parts import interval_of
from kdviz.runs.reader import Run
from kdviz.text import counted, plain, times_text
from kdviz.ui.frame.words import in_words, metric_title


@dataclass(frozen=True, kw_only=True)
class StrategyScore:
    """One strategy over its seeds, at the last evaluation of each run.

    `low` and `high` are the smallest and largest score of the seeds where there are several, else the
    bootstrap interval over the `num_examples` evaluation examples (None where the run has none).
    `attention_kl` in nats, mean over matched pairs and seeds. `runs`: one a seed.
    """

    strategy: str
    runs: tuple[Run, ...]
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
        seeds = {run.seed: run for run in reversed(runs) if run.strategy == strategy and run.evals}
        kept = [run for run in seeds.values() if run.evals[-1]["metrics"].get(metric) is not None]
        if kept:
            rows.append(_row(strategy, kept, metric))
    return rows


def _row(strategy: str, runs: Sequence[Run], metric: str) -> StrategyScore:
    lines = [run.evals[-1] for run in runs]
    scores = [line["metrics"][metric] for line in lines]
    interval = interval_of(lines[0], metric)
    return StrategyScore(
        strategy=strategy,
        runs=tuple(runs),
        num_seeds=len(lines),
        num_examples=int(lines[0].get("n", 0)),
        score=mean_of(scores),
        low=min(scores) if len(lines) > 1 else interval[0],
        high=max(scores) if len(lines) > 1 else interval[1],
        attention_kl=mean_of([mean_of(line["mismatch"]["attention_kl"]) for line in lines]),
        agreement=mean_of([line["agreement"] for line in lines]),
    )


def verdict(rows: Sequence[StrategyScore], metric: str, internal: str) -> str:
    """What these rows say of the strategy `internal` against soft labels, in plain words; "" where they
    cannot say anything. Of one strategy, not of the best in each respect: that would flatter. Of the seeds
    that both have, where there is one.
    """
    found = {row.strategy: row for row in rows if not math.isnan(row.attention_kl)}
    if "soft" not in found or internal not in found:
        return ""
    soft, other = found["soft"], found[internal]
    if both := {run.seed for run in soft.runs} & {run.seed for run in other.runs}:
        soft, other = (
            _row(row.strategy, [run for run in row.runs if run.seed in both], metric) for row in (soft, other)
        )
    return f"{_inside(soft, other)}  \n{_outside(soft, other, metric)}".strip()


def _inside(soft: StrategyScore, internal: StrategyScore) -> str:
    """Who is farther from the teacher inside, by the interval of `kdviz.analysis.apart` alone."""
    between = apart(soft.runs, internal.runs)
    if between is None:
        return ""
    if not between.is_told_apart:
        return f"Inside, soft labels and {in_words(internal.strategy)} **cannot be told apart** here."
    far, near = (soft, internal) if between.farther.place == 0 else (internal, soft)
    seeds = min(soft.num_seeds, internal.num_seeds)
    return (
        f"Inside, {in_words(far.strategy)} ends **{times_text(between.farther.times)} times as far** from "
        f"the teacher as {in_words(near.strategy)}, by the median {between.one}"
        f"{f' of {seeds} seeds' if seeds > 1 else ''}."
    )


def _outside(soft: StrategyScore, internal: StrategyScore, metric: str) -> str:
    """Whose score is higher, sentence by sentence where the answers are there, else by the rows' spread."""
    name, seeds = in_words(internal.strategy), min(internal.num_seeds, soft.num_seeds)
    numbers = f"{metric_title(metric)} {internal.score:.2f} with {name}, {soft.score:.2f} with soft labels"
    sides = ([(run, run.evals[-1]["epoch"]) for run in row.runs] for row in (internal, soft))
    gap = score_gap(*sides, metric)
    is_higher = internal.score > soft.score
    if gap is None:
        is_told_apart = None not in (internal.low, soft.high) and internal.low > soft.high
        by = "as their spread can tell of" if seeds > 1 else "by intervals that do not overlap, of"
    else:
        is_told_apart, by = gap.is_told_apart, "as these examples can tell of"
    of_seeds = f"{by} {'one seed' if seeds == 1 else f'{seeds} seeds'}"
    if is_higher and is_told_apart:
        return f"Outside, {name} **scores higher**, {of_seeds}: {numbers}."
    if is_higher:
        cannot = "these examples cannot" if gap else "their spread does not"
        one = ", and this is one seed" if seeds == 1 else ""
        return f"Outside, there is **no clear win**: {numbers}; {cannot} tell them apart{one}."
    if gap and is_told_apart:
        return f"Outside, {name} **scores lower** than soft labels, {of_seeds}: {numbers}."
    return f"Outside, {name} **does not beat** soft labels here: {numbers}."


def score_text(row: StrategyScore) -> str:
    """The score with its spread: 0.22 [0.18, 0.26]."""
    return f"{row.score:.2f}" if row.low is None else f"{row.score:.2f} [{row.low:.2f}, {row.high:.2f}]"


def spread_text(rows: Sequence[StrategyScore]) -> str:
    """What the brackets mean."""
    seeds = sorted({row.num_seeds for row in rows})
    examples = f"n = {max((row.num_examples for row in rows), default=0):,}"
    if max(seeds, default=1) == 1:
        return f"brackets: 95 % interval, {examples}, one seed"
    number = f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    of_one = ", of one seed the 95 % interval" if 1 in seeds else ""
    return f"mean of {number} seeds, {examples}; brackets: range over the seeds{of_one}"


def verdict_of_pair(runs: Sequence[Run], lines: dict[str, dict], names: dict[str, str], metric: str) -> str:
    """What the first run's score says against the second's: which is higher, and whether that can be told
    apart; "" for one run.
    """
    if len(runs) < 2:
        return ""
    (first, second), values = runs[:2], []
    for run in runs[:2]:
        if divergence(run):
            return f"“{plain(names[run.id])}” diverged: its score is no result, so there is no verdict."
        if is_untrained(run, lines[run.id]["epoch"]):
            return f"The classifier of “{plain(names[run.id])}” is not trained yet, so there is no verdict."
    for run in (first, second):
        line = lines[run.id]
        values.append((line["metrics"].get(metric), interval_of(line, metric)))
    (value, interval), (other, other_interval) = values
    if value is None or other is None:
        return ""
    others = ""
    if answered_others([(run, lines[run.id]["epoch"]) for run in (first, second)]):
        n = numbers_of_examples([lines[run.id]["n"] for run in (first, second)])
        others = f"they were scored on different examples (n = {n})"
    though = f", though {others}" if others else ""
    said = {run.id: f"“{plain(names[run.id])}”" for run in (first, second)}
    epochs = {run.id: lines[run.id]["epoch"] for run in (first, second)}
    if len(set(epochs.values())) > 1:  # one was stopped, or goes on
        said = {name: f"{words} after epoch {epochs[name]:g}" for name, words in said.items()}
    if value == other:
        return f"{said[first.id]} and {said[second.id]} score the same here{though}."
    high, low = (first, second) if value > other else (second, first)
    names_said = f"{said[high.id]} scores higher than {said[low.id]}"
    if gap := score_gap([(high, lines[high.id]["epoch"])], [(low, lines[low.id]["epoch"])], metric):
        examples = f"{gap.words} over the same {counted(gap.num_examples, 'example')}"
        if gap.is_told_apart:
            return f"{names_said}: {examples}; this is one seed each."
        return f"{names_said}, but **these examples cannot tell them apart**: {examples}."
    lower_end, upper_end = (
        (interval[0], other_interval[1]) if value > other else (other_interval[0], interval[1])
    )
    if lower_end is not None and upper_end is not None and lower_end <= upper_end:
        why = others or "answers to the same examples are not stored"
        return f"{names_said}, but **the intervals overlap**, and {why}."
    return f"{names_said}{though}; this is one seed each."
