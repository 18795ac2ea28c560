"""The tables that come with kdviz are evidence: each number can be made again from the runs' own."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student_t
from scipy.stats import ttest_rel

from kdviz.analysis.apart import apart
from kdviz.analysis.gap import score_gap
from kdviz.demo.grid import TELLING
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.studies.results import RESULTS, stored_results
from kdviz.tasks import TASKS
from kdviz.text import counted

ROOT = Path(__file__).parents[1]
TABLES = sorted(stored_results().items())


def test_some_are_there_and_every_file_can_be_read():
    """Without results the claim would be left to belief; an unreadable file is left out without a word."""
    assert TABLES
    assert len(TABLES) == len(list(RESULTS.glob("*.json")))


@pytest.mark.parametrize(("name", "stored"), TABLES, ids=[name for name, _ in TABLES])
def test_every_mean_and_interval_is_that_of_the_runs_named_beside_it(name, stored):
    """An edited or stale cell would be believed as readily as a true one."""
    runs = {run["run"]: run for run in stored.runs}
    for row in stored.table.rows:
        assert row.n == len(row.runs) and set(row.runs) <= set(runs), row.label
        for metric, spread in row.metrics.items():
            values = [runs[run_id]["metrics"][metric] for run_id in row.runs]
            _agrees(spread, values)
        for measure, spread in row.values.items():
            _agrees(spread, [runs[run_id][measure] for run_id in row.runs])


@pytest.mark.parametrize(("name", "stored"), TABLES, ids=[name for name, _ in TABLES])
def test_where_it_came_from_is_told_and_nothing_of_the_machine_that_ran_it(name, stored):
    """A number without settings, versions and data cannot be checked; a path tells of somebody's disk."""
    assert {"settings", "versions", "data", "teachers", "machine", "seeds", "from", "to"} <= set(
        stored.provenance
    )
    text = json.dumps([stored.runs, stored.provenance, stored.table.to_dict()])
    assert not re.search(r'"(?:[^"]* )?/\w+/', text)


def test_the_readmes_claim_is_what_they_say():
    """New results would leave old numbers in the first thing that everybody reads."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    claim = text[text.index("**What our own runs say") : text.index("## Run it")]
    known, clear, distinct = set(), set(), set()
    for _, stored in TABLES:
        inside = {}
        for each in stored.table.comparisons:
            difference = each.difference
            outside = f"{difference.difference:.3f} [{difference.low:.3f}, {difference.high:.3f}]"
            known.add(outside)
            distinct.add((each.metric, difference.difference, difference.low, difference.high, each.inside))
            if difference.is_told_apart:
                clear.add(outside)
            if each.inside:
                inside.setdefault(stored.table.rows[each.first].task, []).append(each.inside)
        for found in (*inside.values(), *([each] for group in inside.values() for each in group)):
            times = sorted(
                {f"{min(each.times for each in found):.1f}", f"{max(each.times for each in found):.1f}"}
            )
            low, high = min(each.low for each in found), max(each.high for each in found)
            known.add(f"{' to '.join(sorted(times, key=float))} [{low:.1f}, {high:.1f}]")
    for task, metric in (("mrpc", "accuracy"), ("cola", "matthews")):
        by_teacher = list(zip(*(stored_seeds(task, strategy) for strategy in TELLING), strict=False))
        for soft, internal in by_teacher:
            farther = apart(soft, internal).farther
            known.add(f"{farther.times:.1f} [{farther.low:.1f}, {farther.high:.1f}]")
        soft, internal = (sum(runs, []) for runs in zip(*by_teacher, strict=True))
        gap = score_gap(
            *([(run, run.evals[-1]["epoch"]) for run in runs] for runs in (internal, soft)), metric
        )
        scores = ([run.evals[-1]["metrics"][metric] for run in runs] for runs in (internal, soft))
        known.add(f"{gap.difference:.3f} [{gap.low:.3f}, {gap.high:.3f}]")
        lead = f"{gap.difference:.3f} [{gap.low:.3f}, {gap.high:.3f}]"
        over_seeds = f"(p = {ttest_rel(*scores).pvalue:.2f})"
        assert (f"{over_seeds} | {lead}" if gap.low > 0 else f"{lead} {over_seeds}") in claim
    said = re.findall(r"(?:[\d.]+ to )?-?[\d.]+ \[-?[\d.]+, -?[\d.]+\]", claim)
    assert len(said) == claim.count("[") and set(said) <= known, set(said) - known
    assert clear <= set(said)
    assert [int(number) for number in re.findall(r"Of (\d+) comparisons", claim)] == [len(distinct)]
    level = sum(low == high == 0 for _, _, low, high, _ in distinct)
    assert [int(number) for number in re.findall(r"in (\d+) both students give one", claim)] == [level]


@pytest.mark.parametrize(
    ("task", "number", "score"),
    [*(("cola", number, "matthews") for number in range(3)), ("rte", 0, "accuracy"), ("mrpc", 0, "accuracy")],
)
def test_the_readmes_teachers_and_kl_are_those_of_the_stored_demo(task, number, score):
    """A demo trained anew would leave the old teacher and the old mismatch in the first table."""
    found = {strategy: stored_seeds(task, strategy) for strategy in ("soft", "all", "pid", "sid")}
    runs = {strategy: teachers[number] for strategy, teachers in found.items() if len(teachers) > number}
    nats = {
        strategy: np.mean([run.evals[-1]["mismatch"]["attention_kl"] for run in seeds])
        for strategy, seeds in runs.items()
    }
    soft, last, how_many = nats.pop("soft"), runs["soft"][0].evals[-1], counted(len(runs["soft"]), "seed")
    inside = [f"{each:.2f}" for each in sorted(nats.values())]
    copied = inside[0] if len(inside) == 1 else f"{inside[0]} to {inside[-1]}"
    spoken = "{:.3f} Matthews of {:,} sentences" if task == "cola" else "{:.3f} right of {:,} pairs"
    teacher = spoken.format(last["teacher_metrics"][score], last["n"])
    which = ("", ", a second teacher", ", a third teacher")[number]
    what = f"{TASKS[task].title}{which}, {last['epoch']:.0f} epochs, {how_many}"
    row = f"| {what} | {teacher} | {soft:.2f} | {copied} | "
    assert row in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_depths_are_those_of_the_stored_demo():
    """A student added to the series, or trained anew, would leave the old one in the README."""
    found = sorted(
        (run.num_layers, run.evals[-1]["metrics"]["matthews"])
        for run in map(Run, DEMO_RUNS.glob("demo-cola-all-*of12-s1"))
    )
    assert len(found) == 5
    layers, scores = ([f"{each:{form}}" for each in column] for form, column in zip(("", ".2f"), zip(*found)))
    said = [f"{', '.join(each[:-1])} and {each[-1]}" for each in (scores, layers)]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"reach {said[0]} Matthews with {said[1]} layers" in text


def stored_seeds(task: str, strategy: str) -> list[list[Run]]:
    """The stored demo's runs of a strategy in the paper's geometry, seed by seed, for each teacher."""
    found: dict[str, list[Run]] = {}
    for folder in sorted(DEMO_RUNS.glob(f"demo-{task}-{strategy}-6of12-s*")):
        run = Run(folder)
        found.setdefault(run.config["teacher_fingerprint"], []).append(run)
    return list(found.values())


def _agrees(spread, values: list[float]) -> None:
    if not values:
        assert spread.mean is None
        return
    assert spread.mean == pytest.approx(np.mean(values), rel=1e-5)
    if len(values) > 1 and np.std(values) > 0:
        low, high = student_t.interval(
            0.95, len(values) - 1, loc=np.mean(values), scale=np.std(values, ddof=1) / np.sqrt(len(values))
        )
        assert (spread.low, spread.high) == pytest.approx((low, high), rel=1e-4, abs=1e-6)
