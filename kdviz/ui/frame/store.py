"""Where runs are: the runs folder of this server, and behind it the stored demo."""

from functools import cache
from pathlib import Path

from kdviz.analysis.comparable import comparable
from kdviz.analysis.divergence import divergence
from kdviz.method.strategies import place_of
from kdviz.paths import runs_folder
from kdviz.runs.names import short_name
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.runs.store import Store
from kdviz.tasks import TASKS


def store() -> Store:
    """The store of this process: it only remembers what it has read, so losing it costs nothing."""
    return _store_of(runs_folder(), DEMO_RUNS)


@cache
def _store_of(*roots: Path) -> Store:
    return Store(*roots)


def watchable(runs: list[Run]) -> list[Run]:
    """Runs with something recorded: own ones as they are listed, then the demo by task, depth, seed and
    strategy.
    """
    seen = [run for run in runs if run.probe_lines or run.evals]
    return [run for run in seen if not run.is_demo] + sorted(
        (run for run in seen if run.is_demo), key=_demo_order
    )


def _demo_order(run: Run) -> tuple:
    tasks = list(TASKS)
    task = tasks.index(run.task) if run.task in tasks else len(tasks)
    return (task, run.num_layers != 3, run.num_layers, run.seed, place_of(run.strategy), run.id)


def default_run(runs: list[Run], prefer_demo: bool = False) -> Run:
    """What a page shows when nothing was asked for: the newest own run, else the demo's clearest one (or the
    other way round).
    """
    own, demo = [run for run in runs if not run.is_demo], [run for run in runs if run.is_demo]
    if own and not (demo and prefer_demo):
        return own[0]
    ranked = sorted(
        demo,
        key=lambda run: (
            -_teacher_layers(run),
            run.task != "cola",
            run.strategy != "all",
            abs(2 * run.num_layers - _teacher_layers(run)),
            run.seed,
            run.id,
        ),
    )
    return ranked[0]


def _teacher_layers(run: Run) -> int:
    return int(run.config.get("teacher_num_layers") or 0)


def task_title(task: str) -> str:
    return TASKS[task].title if task in TASKS else task


def long_name(run: Run) -> str:
    """The run in a list of all runs: what differs comes first, because lists are narrow."""
    source = "sample data, not GLUE" if run.is_sample_data else ""
    place = "stored demo" if run.is_demo else run.id
    mark = "diverged" if divergence(run) else ""
    return " · ".join(part for part in (task_title(run.task), short_name(run), mark, source, place) if part)


def counterparts(run: Run, runs: list[Run]) -> list[Run]:
    """Finished runs that differ from `run` in strategy alone, the baselines first, the newest of each."""
    best: dict[str, Run] = {}
    for other in comparable(run, runs, apart_from=("strategy",)):
        if other.strategy != run.strategy:
            best.setdefault(other.strategy, other)
    return [best[strategy] for strategy in sorted(best, key=lambda name: (name != "soft", place_of(name)))]
