"""Results that are kept with kdviz: a study's table, every run's numbers, and where they came from; small
enough to be committed, readable without any run folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.files import json_bytes, read_json, rounded, write_output
from kdviz.runs.reader import Run
from kdviz.runs.writer import now
from kdviz.studies.measures import measured, seconds_of, why_left_out
from kdviz.studies.rows import Table
from kdviz.studies.spec import Study
from kdviz.studies.table import StudyRuns, make_table

FORMAT = 1
RESULTS = Path(__file__).parent / "results"
_NOT_SETTINGS = ("seed", "data_dir")
_PATHS = ("teacher", "student_checkpoint")
_OF_DATA = ("source", "fingerprint", "note", "num_train", "num_eval")
_OF_MACHINE = ("device", "dtype", "num_threads")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A committed table. `runs`: one dict a run with its seed and numbers; `provenance`: see there."""

    table: Table
    runs: list[dict]
    provenance: dict


def store_results(study: Study, runs_dir: Path, path: Path | None = None) -> Path:
    """Write the study's table as it stands, with settings, versions, data, seeds, device and dates. Returns
    the file: `path`, else RESULTS/<study>.json. RequestError where no run is finished.
    """
    table, found = make_table(study, runs_dir), StudyRuns(runs_dir)
    runs = [run for cell in study.cells if (run := found.finished(cell)) is not None]
    if not runs:
        raise RequestError(
            f"study: expected finished runs of {study.id} in {runs_dir}, got none; run it first"
        )
    path = path or RESULTS / f"{study.id}.json"
    content = {
        "format": FORMAT,
        "made": now(),
        "table": table.to_dict(),
        "runs": [_run(run) for run in runs],
        "provenance": provenance(runs),
    }
    try:
        write_output(path, json_bytes(rounded(content)), beginning=b'{\n "format": ')
    except OSError as error:
        raise RequestError(
            f"--store: {path} cannot be written ({error.strerror}); choose another file"
        ) from None
    return path


def provenance(runs: Sequence[Run]) -> dict:
    """What the runs have in common as single values, what differs as lists: settings, versions, data by task,
    teachers by task, seeds, device, dates (of the first start and the last end), hours of computing.
    """
    started = [run.status.get("started") or run.config.get("created") for run in runs]
    finished = [run.status.get("finished") for run in runs]
    return {
        "settings": _common([_settings(run) for run in runs]),
        "versions": _common([run.config.get("versions", {}) for run in runs]),
        "data": {
            run.task: {name: run.config.get("data", {}).get(name) for name in _OF_DATA}
            for run in reversed(runs)
        },
        "teachers": {
            run.task: {
                "fingerprint": run.config.get("teacher_fingerprint"),
                "weights_sha256": run.config.get("teacher_weights_sha256"),
            }
            for run in reversed(runs)
        },
        "machine": _common([{name: run.config.get(name) for name in _OF_MACHINE} for run in runs]),
        "seeds": sorted({run.seed for run in runs}),
        "from": min(filter(None, started), default=None),
        "to": max(filter(None, finished), default=None),
        "hours": sum(map(seconds_of, runs)) / 3600,
    }


def stored_results(folder: Path = RESULTS) -> dict[str, Stored]:
    """The committed tables by study. One that this version cannot read is left out."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = read_json(path)
            if content["format"] != FORMAT:
                continue
            stored = Stored(
                table=Table.from_dict(content["table"]),
                runs=content["runs"],
                provenance={**content["provenance"], "made": content["made"]},
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found[stored.table.study] = stored
    return found


def _run(run: Run) -> dict:
    """One run's numbers, so that every mean and interval can be made again."""
    reason = why_left_out(run)
    if reason:
        return {"run": run.id, "seed": run.seed, "left_out": reason}
    numbers = measured(run)
    return {
        "run": run.id,
        "seed": run.seed,
        "task": run.task,
        "metrics": numbers.metrics,
        "teacher_metrics": numbers.teacher_metrics,
        **numbers.values,
    }


def _settings(run: Run) -> dict:
    from kdviz.config import RunConfig

    names = [name for name in RunConfig().to_dict() if name not in _NOT_SETTINGS]
    values = {name: run.config.get(name) for name in names}
    return values | {name: os.path.basename(values[name]) for name in _PATHS if values[name]}


def _common(records: Sequence[dict]) -> dict:
    found: dict = {}
    for record in records:
        for name, value in record.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
