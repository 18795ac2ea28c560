"""A study: a grid of runs from a TOML file, one after the other, continued where it stopped.

name = "cola-strategies"
[settings]                      # the same for every run
task = "cola"
epochs = 8
[grid]                          # every combination of these
strategy = ["soft", "all"]
seed = [0, 1, 2]
[[also]]                        # further runs, each the settings with these changes
strategy = "all"
student_layers = 1
"""

import itertools
import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.runs.reader import Run, check_run_id

SHORT = {"student_layers": "l", "seed": "s", "train_size": "n"}


def study_runs(file: Path) -> Iterator[tuple[str, RunConfig]]:
    """(run id, config) of every run of a study, in order. RequestError where the file is malformed."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"study: expected a TOML file, got {file} ({error.strerror})") from None
    except ValueError as error:  # no TOML, no UTF-8, or a name that no file can have
        raise RequestError(f"study: {str(file)[:200]!r} is not TOML: {error}") from None
    unknown = set(content) - {"name", "settings", "grid", "also"}
    if unknown:
        raise RequestError(
            f"study: expected name, [settings], [grid] and [[also]], got {', '.join(sorted(unknown))} in "
            f"{file}"
        )
    name, settings, grid = (
        content.get("name", file.stem.lower()),
        content.get("settings", {}),
        content.get("grid", {}),
    )
    if (
        not isinstance(settings, dict)
        or not isinstance(grid, dict)
        or not _are_tables(content.get("also", []))
    ):
        raise RequestError(f"study: expected [settings], [grid] and [[also]] as tables in {file}")
    if not all(isinstance(values, list) and values for values in grid.values()):
        raise RequestError(f"study: expected a list of values for every name in [grid] of {file}")
    changes = [dict(zip(grid, values)) for values in itertools.product(*grid.values())] + list(
        content.get("also", [])
    )
    known = {item.name for item in fields(RunConfig)}
    for change in changes:
        wrong = (set(settings) | set(change)) - known
        if wrong:
            raise RequestError(
                f"study: unknown setting {', '.join(sorted(wrong))} in {file}; the settings are those of "
                "'kdviz run --help', with _ for -"
            )
        yield check_run_id(_run_id(str(name), change)), RunConfig(**{**settings, **change})


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _run_id(name: str, change: dict) -> str:
    parts = [f"{SHORT[key]}{value}" if key in SHORT else str(value) for key, value in change.items()]
    return "-".join([name, *parts]).lower().replace("_", "-").replace(" ", "")


def run_study(file: Path, runs_dir: Path, carry_out: Callable[[Path], int]) -> int:
    """Carry out every run of the study that is not finished. A run that fails does not keep the others from
    running.
    """
    from kdviz.jobs.launch import create_run

    worst, planned = 0, list(study_runs(file))
    for number, (run_id, config) in enumerate(planned, start=1):
        print(f"{run_id} ({number} of {len(planned)})", flush=True)
        folder = runs_dir / run_id
        if not (folder / "config.json").exists():
            folder = create_run(config, runs_dir, run_id, extra={"study": file.stem})
        elif json.loads(json.dumps(config.to_dict())) != {
            key: Run(folder).config.get(key) for key in config.to_dict()
        }:
            raise RequestError(
                f"study: run {run_id!r} exists in {runs_dir} with other settings; delete it or rename the "
                "study"
            )
        if Run(folder).state == "finished":
            continue
        worst = max(worst, _status_of(carry_out, folder))
    return worst


def _status_of(carry_out: Callable[[Path], int], folder: Path) -> int:
    from kdviz.errors import RunFailed

    try:
        return carry_out(folder)
    except RunFailed as error:
        print(f"kdviz: {error}")
        return 1
