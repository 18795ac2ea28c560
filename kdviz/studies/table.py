"""A study's table, made from run folders: means and intervals over seeds, comparisons, the paper beside."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from kdviz.analysis.answers import Farther
from kdviz.analysis.apart import PRESETS, Apart, apart
from kdviz.config import has_effect
from kdviz.method.strategies import INTERNAL
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run
from kdviz.runs.store import Store
from kdviz.studies.identity import is_run_of, settings_digest
from kdviz.studies.measures import Measured, measured, measured_as, why_left_out
from kdviz.studies.rows import Comparison, Row, Table, in_words
from kdviz.studies.sources import Sources
from kdviz.studies.spec import COLUMNS, Cell, Study
from kdviz.studies.statistics import Difference, paired_difference, spread
from kdviz.tasks import TASKS
from kdviz.text import printable


class StudyRuns:
    """The runs of a runs folder as a study's cells: each its own, or another study's with its settings."""

    def __init__(self, runs_dir: Path):
        self._runs_dir = Path(runs_dir)
        self._by_settings: dict[str, Run] | None = None

    def own(self, cell: Cell) -> Run | None:
        """The run of the cell's own name. ValueError where that folder holds no readable run."""
        folder = self._runs_dir / cell.run_id
        return Run(folder) if RunFiles(folder).config.exists() else None

    def why_failed(self, cell: Cell) -> str | None:
        """Why the cell's own run ended without an answer, in words; None where it did not."""
        try:
            run = self.own(cell)
        except ValueError as error:
            return f"its folder cannot be read: {error}"
        if run is None or run.state != "failed" or not is_run_of(cell.config, run.config):
            return None
        said = " ".join(str(run.status.get("error") or "for no reason that it knows").split())
        return f"it failed: {printable(said)[:300]}"

    def finished(self, cell: Cell) -> Run | None:
        """The finished run that answers the cell, whichever study made it; None where there is none."""
        try:
            run = self.own(cell)
        except ValueError:
            run = None
        if run is not None and run.state == "finished" and is_run_of(cell.config, run.config):
            return run
        if self._by_settings is None:
            self._by_settings = {
                key: run
                for run in reversed(Store(self._runs_dir).runs())
                if run.config.get("study") and run.state == "finished"
                for key in (settings_digest(run.config), str(run.config.get("cell")))
            }
        return self._by_settings.get(settings_digest(cell.config.to_dict()))


def make_table(study: Study, runs_dir: Path) -> Table:
    """The table as the run folders stand now; a cell that was not run is missing from n, never guessed."""
    runs, groups = StudyRuns(runs_dir), {}
    for cell in study.cells:
        key = tuple((name, repr(cell.varied.get(name))) for name in study.names), cell.label
        groups.setdefault(key, []).append(cell)
    found = {cell.run_id: runs.finished(cell) for cell in study.cells}
    sources = Sources((cell, found[cell.run_id]) for cell in study.cells if found[cell.run_id] is not None)
    rows, parts, configs, teachers = [], [], [], {}
    for cells in groups.values():
        kept, left_out = [], {}
        for cell in cells:
            run = found[cell.run_id]
            if run is None:
                if reason := runs.why_failed(cell):
                    left_out[cell.run_id] = reason
                continue
            other = sources.other(cell, run.config)
            if reason := why_left_out(run) or (other and other.words("the other runs")):
                left_out[run.id] = reason
            else:
                kept.append(measured(run))
        is_sample = sources.is_sample(cells[0].config.task)
        rows.append(_row(study, cells[0], kept, len(cells), left_out, is_sample))
        parts.append(kept)
        configs.append(cells[0].config.to_dict())
        for part in kept:
            teachers.setdefault(part.task, {})[part.teacher] = part.teacher_metrics
    return Table(
        study=study.id,
        title=study.title,
        about=study.about,
        size=study.size,
        names=study.names,
        columns=study.columns,
        x=study.x,
        rows=tuple(rows),
        comparisons=tuple(_comparisons(rows, parts, configs, study.names)),
        teachers={task: [*made.values()][0] for task, made in teachers.items() if len(made) == 1},
        data=sources.notes,
        setup=_setup(study, [run for run in found.values() if run is not None]),
    )


def row_label(cell: Cell, names: Sequence[str]) -> str:
    """A row's name: its own, or its settings in words; the task is told elsewhere."""
    if cell.label:
        return cell.label
    return in_words({name: cell.varied[name] for name in names}, cell.config.strategy)


def telling_names(rows: Sequence[Row]) -> list[str]:
    """The settings that tell rows of one label apart: a table has a column for each."""
    labels = [row.label for row in rows]
    if len(set(labels)) == len(labels):
        return []
    first = {label: rows[labels.index(label)].settings for label in labels}
    return [
        name
        for name in (rows[0].settings if rows else ())
        if name not in ("task", "strategy")
        and any(row.settings[name] != first[row.label][name] for row in rows)
    ]


def best_of(rows: Sequence[Row], metric: str) -> Row | None:
    """The row whose interval lies above all the others'; None where the intervals do not part. Of seeds that
    all came to one number there is no interval to go by.
    """
    known = [row for row in rows if row.metrics.get(metric) and row.metrics[metric].mean is not None]
    if len(known) < 2:
        return None
    best, *others = sorted(known, key=lambda row: -row.metrics[metric].mean)
    ends = [(row.metrics[metric].low, row.metrics[metric].high) for row in (best, *others)]
    if any(low in (None, high) for low, high in ends) or any(high >= ends[0][0] for _, high in ends[1:]):
        return None
    return best


def _row(
    study: Study, cell: Cell, kept: list[Measured], num_cells: int, left_out: dict, is_sample: bool
) -> Row:
    return Row(
        settings={name: cell.varied[name] for name in study.names},
        label=row_label(cell, study.names),
        task=cell.config.task,
        strategy=cell.config.strategy,
        paper_row=None if is_sample else cell.paper_row,
        metrics={
            name: spread([part.metrics[name] for part in kept])
            for name in (TASKS[cell.config.task].metrics if kept else ())
        },
        values={
            name: spread([part.values[name] for part in kept])
            for name in COLUMNS
            if kept and all(name in part.values for part in kept)
        },
        seeds=tuple(part.seed for part in kept),
        runs=tuple(part.run_id for part in kept),
        num_cells=num_cells,
        num_examples=kept[0].num_examples if kept else 0,
        left_out=left_out,
        teacher=kept[0].teacher_metrics if kept else {},
    )


def _setup(study: Study, runs: Sequence[Run]) -> dict[str, dict]:
    """By task, what was trained with: single values, or lists where a study varies them."""
    found: dict[str, dict[str, set]] = {}
    for cell in study.cells:
        of_task, config = found.setdefault(cell.config.task, {}), cell.config
        for name in ("teacher", "student_layers", "epochs"):
            value = getattr(config, name)
            of_task.setdefault(name, set()).add(os.path.basename(value) if name == "teacher" else value)
    for run in runs:
        for name in ("num_train", "num_eval"):
            found[run.task].setdefault(name, set()).add(run.config.get("data", {}).get(name, 0))
    return {task: {name: sorted(each) for name, each in parts.items()} for task, parts in found.items()}


def _comparisons(
    rows: Sequence[Row], parts: Sequence[list[Measured]], configs: Sequence[Mapping], names: Sequence[str]
) -> list[Comparison]:
    found = []
    for place, row in enumerate(rows):
        if row.strategy not in INTERNAL:
            continue
        soft = next(
            (
                other
                for other, candidate in enumerate(rows)
                if candidate.strategy == "soft" and _differ_in_strategy(configs[place], configs[other], names)
            ),
            None,
        )
        pairs = () if soft is None else _same_seeds(parts[place], parts[soft])
        if pairs:
            found.append(
                Comparison(
                    first=place,
                    second=soft,
                    metric=TASKS[row.task].primary_metric,
                    difference=_difference_of(row.task, pairs),
                    inside=_inside_of(pairs),
                )
            )
    return found


def _differ_in_strategy(first: Mapping, second: Mapping, names: Sequence[str]) -> bool:
    """Whether two rows have everything in common that has an effect on both, the strategy apart."""
    return all(
        first[name] == second[name]
        for name in names
        if name != "strategy" and has_effect(name, first) and has_effect(name, second)
    )


def _same_seeds(first: list[Measured], second: list[Measured]) -> tuple:
    """The keys of the runs of each seed that both have with their answers to the same examples."""
    others = {part.seed: part for part in second if part.labels is not None}
    return tuple(
        (part.key, others[part.seed].key)
        for part in first
        if part.labels is not None
        and part.seed in others
        and np.array_equal(part.index, others[part.seed].index)
        and np.array_equal(part.index, first[0].index)
    )


@lru_cache(maxsize=1024)
def _difference_of(task_name: str, pairs: tuple) -> Difference:
    """Resampling takes a moment, and a page asks again whenever another run is finished."""
    task, sides = TASKS[task_name], [[measured_as(key) for key in side] for side in zip(*pairs)]
    return paired_difference(
        task,
        task.primary_metric,
        sides[0][0].labels,
        [one.predictions for one in sides[0]],
        [other.predictions for other in sides[1]],
        [one.seed for one in sides[0]],
    )


@lru_cache(maxsize=1024)
def _inside_of(pairs: tuple) -> Farther | None:
    """Which side is farther from the teacher inside, by the one rule for it."""
    first, second = ([Run(key[0]) for key in side] for side in zip(*pairs, strict=True))
    return _over_examples(apart(first, second))


def _over_examples(found: Apart | None) -> Farther | None:
    """What a study says of the inside: over the evaluation examples, never over the presets."""
    return found.farther if found and found.over != PRESETS else None


def with_inside(table: Table, runs: Mapping[str, Run]) -> Table:
    """The same table, with what its comparisons lack of the inside read from `runs`, by id, where these are
    at hand: results that are kept without their runs are read beside those of the stored demo.
    """
    found = []
    for each in table.comparisons:
        first, second = (table.rows[place] for place in (each.first, each.second))
        ids = [
            (one, other)
            for one, seed in zip(first.runs, first.seeds, strict=True)
            for other, other_seed in zip(second.runs, second.seeds, strict=True)
            if seed == other_seed and one in runs and other in runs
        ]
        if each.inside is None and ids:
            between = apart(*([runs[run_id] for run_id in side] for side in zip(*ids, strict=True)))
            each = replace(each, inside=_over_examples(between))
        found.append(each)
    return replace(table, comparisons=tuple(found))
