"""Every cell of a study resolved before anything runs: what it would do, how long, how much it writes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kdviz.data.sources import FOLDER_VARIABLE
from kdviz.errors import RequestError
from kdviz.files import free_bytes, size_words
from kdviz.jobs.create import FREE_BYTES_LEFT, no_runs_folder
from kdviz.jobs.limits import footprint
from kdviz.jobs.plan import plan
from kdviz.machine import cores_allowed, memory_allowed
from kdviz.runs.reader import Run
from kdviz.runs.store import check_runs_folder
from kdviz.studies.identity import differing, is_run_of
from kdviz.studies.sources import Other, Sources
from kdviz.studies.spec import Cell, Resources, Study
from kdviz.studies.table import StudyRuns
from kdviz.training.request import Request, resolve_request

_MOST_COPIES = 7
"""Of a student on disk while it trains: two checkpoints with both moments of AdamW, and student/."""
_MEMORY_SHARE = 0.8
"""Of the machine's memory, for all runs at once."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A cell that can be run. `state`: finished, begun or new.

    Estimates are for this machine, `disk_bytes` is what stays of the run; `teacher` names its fine-tuned
    teacher, `teacher_*` are that one's.
    """

    cell: Cell
    state: str
    seconds: float
    disk_bytes: int
    peak_bytes: int
    memory_bytes: int
    teacher: str
    teacher_is_kept: bool
    teacher_seconds: float
    teacher_bytes: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is still to be done for a whole study, `at_once` runs at a time."""

    cells: tuple[Checked, ...]
    at_once: int = 1

    @property
    def open(self) -> tuple[Checked, ...]:
        return tuple(cell for cell in self.cells if cell.state != "finished")

    @property
    def teachers(self) -> dict[str, Checked]:
        """Teachers that are still to be made, by fingerprint, each with the first cell that needs it."""
        found: dict[str, Checked] = {}
        for cell in self.open:
            if not cell.teacher_is_kept:
                found.setdefault(cell.teacher, cell)
        return found

    @property
    def seconds(self) -> float:
        """On this machine, where runs at once do not slow each other down."""
        alone = [cell.seconds for cell in self.open]
        alone += [cell.teacher_seconds for cell in self.teachers.values()]
        return max(sum(alone) / self.at_once, max(alone, default=0.0))

    @property
    def disk_bytes(self) -> int:
        """What it writes in all, with the most that runs need while they go."""
        return (
            sum(cell.disk_bytes for cell in self.open)
            + sum(cell.teacher_bytes for cell in self.teachers.values())
            + self.at_once * max((cell.peak_bytes for cell in self.open), default=0)
        )

    @property
    def memory_bytes(self) -> int:
        """Of as many of the largest runs as are trained at a time."""
        return self.at_once * max((cell.memory_bytes for cell in self.open), default=0)

    def to_dict(self) -> dict:
        """JSON-ready."""
        return {
            "seconds": self.seconds,
            "at_once": self.at_once,
            "disk_bytes": self.disk_bytes,
            "memory_bytes": self.memory_bytes,
            "teachers": [
                {"teacher": name, "seconds": cell.teacher_seconds, "disk_bytes": cell.teacher_bytes}
                for name, cell in self.teachers.items()
            ],
            "cells": [
                {
                    "run": each.cell.run_id,
                    "settings": each.cell.varied,
                    "state": each.state,
                    "seconds": each.seconds,
                    "disk_bytes": each.disk_bytes,
                    "memory_bytes": each.memory_bytes,
                    "teacher": each.teacher,
                    "warnings": list(each.warnings),
                }
                for each in self.cells
            ],
        }


def check_study(
    study: Study, runs_dir: Path, *, num_threads: int | None = None, at_once: int | None = 1
) -> Forecast:
    """Resolve every cell; `at_once` runs are to be trained at a time (None: as many as fit). RequestError,
    naming the first one at fault and how many there are, where any cannot be done, is another run's name
    already, or the disk is too small for all of them.
    """
    check_runs_folder(runs_dir)
    if runs_dir.is_file():
        raise no_runs_folder(f"the file {runs_dir}")
    runs, resolved, checked, faults = StudyRuns(runs_dir), {}, [], []
    found = [(cell, run) for cell in study.cells if (run := runs.finished(cell)) is not None]
    sources, finished = Sources(found), {cell.run_id for cell, _ in found}
    for cell in study.cells:
        try:
            own = _own(cell, runs, runs_dir)
            if cell.run_id in finished:
                checked.append(_finished(cell))
                continue
            key = replace(cell.config, seed=0)
            if key not in resolved:
                request = resolve_request(cell.config)
                resolved[key] = request.record(), _estimates(request, runs_dir, num_threads)
            record, estimates = resolved[key]
            if own is not None:  # it goes on with the examples it has
                record = {**record, "data": own.config.get("data", {})}
            _check_sources(sources.other(cell, record))
            checked.append(Checked(cell=cell, state="new" if own is None else "begun", **estimates))
        except RequestError as error:
            faults.append((cell, error))
    if faults:
        cell, error = faults[0]
        more = f" (and {len(faults) - 1} more of {len(study.cells)} runs)" if len(faults) > 1 else ""
        raise RequestError(f"study: run {cell.run_id!r}{more}: {error}", field=error.field) from error
    forecast = Forecast(cells=tuple(checked))
    if at_once is None:
        at_once = runs_that_fit(study.resources, forecast)
    forecast = replace(forecast, at_once=max(1, min(at_once, len(forecast.open))))
    _check_disk(forecast, runs_dir)
    return forecast


def runs_that_fit(resources: Resources, forecast: Forecast) -> int:
    """How many runs at once this machine has cores and memory for, where the study says how many cores one
    takes; else one, which takes them all.
    """
    if resources.cpus is None or resources.gpus or not forecast.open or _uses_gpu(forecast):
        return 1
    fit = cores_allowed() // resources.cpus
    memory, largest = memory_allowed(), max(cell.memory_bytes for cell in forecast.open)
    if memory is not None and largest:
        fit = min(fit, int(_MEMORY_SHARE * memory / largest))
    return fit


def _uses_gpu(forecast: Forecast) -> bool:
    from kdviz.training.device import choose_device

    choices = {checked.cell.config.device_choice for checked in forecast.open}
    return any(choose_device(choice)[0].type != "cpu" for choice in choices)


def _own(cell: Cell, runs: StudyRuns, runs_dir: Path) -> Run | None:
    """The run of the cell's name, where there is one. RequestError where it is another's."""
    try:
        own = runs.own(cell)
    except ValueError as error:
        raise RequestError(
            f"its folder in {runs_dir} cannot be read: {error}; remove it or rename the study"
        ) from None
    if own is not None and not is_run_of(cell.config, own.config):
        names = differing(cell.config, own.config)
        raise RequestError(
            f"it exists in {runs_dir} with other settings ({', '.join(names[:4])}); delete it or rename the "
            "study"
        )
    return own


def _check_sources(other: Other | None) -> None:
    if other is None:
        return
    put_back = (
        f"set {FOLDER_VARIABLE} (or data_dir) as it was then"
        if other.setting == "data_dir"
        else "put those weights back"
    )
    words = other.words("the study's finished runs")
    raise RequestError(
        f"{words}, and no mean would hold both; {put_back}, remove the finished runs, or choose another "
        "--runs-dir",
        field=other.setting,
    )


def _finished(cell: Cell) -> Checked:
    return Checked(
        cell=cell,
        state="finished",
        seconds=0.0,
        disk_bytes=0,
        peak_bytes=0,
        memory_bytes=0,
        teacher="",
        teacher_is_kept=True,
        teacher_seconds=0.0,
        teacher_bytes=0,
        warnings=(),
    )


def _estimates(request: Request, runs_dir: Path, num_threads: int | None) -> Mapping:
    made, needed = plan(request, num_threads=num_threads), footprint(request)
    weights = 4 * request.student_parameters
    kept = needed.disk["checkpoints"] - _MOST_COPIES * weights
    return dict(
        seconds=made.seconds,
        disk_bytes=weights + kept + needed.disk["snapshots"] + needed.disk["evaluations"],
        peak_bytes=(_MOST_COPIES - 1) * weights,
        memory_bytes=needed.memory_bytes,
        teacher=request.teacher_fingerprint,
        teacher_is_kept=request.kept_teacher(runs_dir) is not None,
        teacher_seconds=made.teacher_seconds,
        teacher_bytes=4 * request.teacher_parameters,
        warnings=made.warnings,
    )


def _check_disk(forecast: Forecast, runs_dir: Path) -> None:
    free = free_bytes(runs_dir) - FREE_BYTES_LEFT
    if forecast.disk_bytes > free:
        raise RequestError(
            f"study: it would write about {size_words(forecast.disk_bytes)}, and there is room for "
            f"{size_words(max(0, free))} at {runs_dir}; free some space, choose another --runs-dir, or "
            "say keep_checkpoints = false",
            field="runs_dir",
        )


def warnings_of(cells: Iterable[Checked]) -> dict[str, int]:
    """Each warning, with the number of runs it is about."""
    found: dict[str, int] = {}
    for cell in cells:
        for warning in cell.warnings:
            found[warning] = found.get(warning, 0) + 1
    return found
