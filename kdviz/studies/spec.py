"""A study's file: TOML, read at one of its sizes, into the runs it asks for.

name = "cola-strategies"        # default: the file's name
[settings]                      # the same for every run: the settings of 'kdviz run', with _ for -
task = "cola"
[grid]                          # every combination of these ...
seed = [0, 1, 2]
[[rows]]                        # ... with each of these, where there are any
label = "all layers at once"
strategy = "all"
paper = "soft + kl + cos"       # the row of the paper's table it stands beside
[[also]]                        # further runs, each the settings with these changes
student_layers = 1
[resources]                     # of one run: cpus, gpus, memory_gb (on a cluster; cpus here too)
[show]                          # columns of the table, x of the curves
[tasks.cola]                    # settings of the runs of one task
train_size = 1000
[sizes.minutes.settings]        # what is different at a size: settings, grid, tasks, resources, rows (more)
epochs = 3

Paths are looked for beside the file, then where the study began, then in the working directory.
"""

import itertools
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from kdviz.config import RunConfig, short
from kdviz.errors import RequestError
from kdviz.metrics import METRIC_TITLES
from kdviz.models.registry import TEACHERS
from kdviz.paths import user_path
from kdviz.runs.store import check_run_id
from kdviz.studies import paper
from kdviz.studies.identity import PATH_SETTINGS, digest, distinct_ids, slug
from kdviz.tasks import TASKS

SIZES = ("minutes", "hours", "paper")
SHIPPED = Path(__file__).parent / "shipped"
_TABLES = ("settings", "grid", "tasks", "sizes", "resources", "show")
_KNOWN = {"name", "title", "about", "rows", "also", *_TABLES}
_MOST_CELLS = 10_000
COLUMNS = {
    "attention_kl": "Attention KL (nats)",
    "agreement": "Agreement",
    "cls_distance": "CLS distance",
    "logit_kl": "Output KL (nats)",
    "repeated_mistakes": "Teacher's mistakes repeated",
    "kept_right": "Right answers kept",
    "parameters": "Parameters",
    "seconds": "Seconds",
}
"""What a table can show beside the task's own metrics."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run may use. `cpus` also bounds torch's threads; `memory_gb` counts on a cluster alone."""

    cpus: int | None = None
    gpus: float = 0.0
    memory_gb: float | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a study. `varied` holds the settings that the study varies, as the file writes them."""

    run_id: str
    config: RunConfig
    varied: dict
    label: str | None = None
    paper_row: str | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """`names`: the settings that vary, seed apart, in the file's order. `text`: the file as it was read.
    `stem`: its name without the ending. `paths`: what relative paths in it were taken for.
    """

    id: str
    title: str
    about: str
    size: str | None
    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    columns: tuple[str, ...] = ("attention_kl", "agreement")
    x: str | None = None
    resources: Resources = Resources()
    stem: str = ""
    text: str = ""
    paths: dict[str, str] = field(default_factory=dict)


def shipped_studies() -> dict[str, Path]:
    """The files that come with kdviz, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_file(name: Path | str) -> Path:
    """The file of that path, or the shipped study of that name. RequestError where there is neither."""
    shipped = shipped_studies()
    try:
        path = user_path(name, field="study")
        if path.is_file():
            return path
        if str(name) in shipped:
            return shipped[str(name)]
        reason = "a folder" if path.is_dir() else "No such file or directory"
    except OSError as error:
        reason = error.strerror or str(error)
    except (RequestError, ValueError):
        reason = "a name that no file can have"
    raise RequestError(
        f"study: expected a TOML file or one of {', '.join(shipped)}, got {str(name)[:200]!r} ({reason})"
    )


def read_study(
    name: Path | str,
    size: str | None = None,
    *,
    paths: Mapping[str, str] | None = None,
    stem: str | None = None,
) -> Study:
    """The study in a file, or the shipped one of that name, at `size` (default: the first the file has).

    `paths` are those of an earlier reading: a study goes on from another working directory. `stem` stands for
    the file's name where a copy is read; one of an older version may name an `x` that gives no curves, and
    has none then. RequestError where the file is malformed or any of its runs cannot be asked for.
    """
    file = find_file(name)
    text, content = _read(file)
    size = _size(content, size, file)
    asked = _at_size(content, size)
    is_copy, stem = stem is not None, stem or file.stem
    name = str(content.get("name", stem))
    study_id = check_run_id(_id_of(name, size))
    where = _Places(file.parent, dict(paths or {}))
    changes = list(_changes(asked, file))
    varied = list(dict.fromkeys(key for change, _ in changes for key in change))
    found = _distinct(changes, asked, where, file)
    ids = distinct_ids(study_id, [change for change, _ in found.values()])
    show = content.get("show", {})
    return Study(
        id=study_id,
        title=str(content.get("title", name)),
        about=str(content.get("about", "")).strip(),
        size=size,
        names=tuple(key for key in varied if key != "seed"),
        cells=tuple(
            Cell(
                run_id=run_id,
                config=config,
                varied={key: config.to_dict()[key] for key in varied},
                label=row.get("label"),
                paper_row=row.get("paper"),
            )
            for run_id, (config, (_, row)) in zip(ids, found.items(), strict=True)
        ),
        columns=tuple(show.get("columns", Study.columns)),
        x=_x_of(show.get("x"), varied, file, is_copy=is_copy),
        resources=_resources(asked["resources"], file),
        stem=stem,
        text=text,
        paths=where.found,
    )


def _read(file: Path) -> tuple[str, dict]:
    """The file's text and what it says; RequestError where it is malformed."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        raise RequestError(f"study: expected a TOML file, got {file} ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"study: {str(file)[:200]!r} is not TOML: {error}") from None
    _check_numbers(content, file)
    _check_shape(content, file)
    return text, content


def _at_size(content: dict, size: str | None) -> dict:
    """What the file says at a size: its own settings, grid, tasks and resources with those of the size, and
    the rows of both.
    """
    here = content.get("sizes", {}).get(size, {}) if size else {}
    merged = {
        name: {**content.get(name, {}), **here.get(name, {})} for name in ("settings", "grid", "resources")
    }
    tasks, own = content.get("tasks", {}), here.get("tasks", {})
    return {
        **merged,
        "tasks": {task: {**tasks.get(task, {}), **own.get(task, {})} for task in (*tasks, *own)},
        "rows": [*content.get("rows", []), *here.get("rows", [])],
        "also": content.get("also", []),
    }


def _id_of(name: str, size: str | None) -> str:
    """The study's name as a part of file names, with a digest where that has lost what tells names apart."""
    whole = f"{name}-{size}" if size else name
    if name.isascii() and any(map(str.isalnum, name)):
        return slug(whole, 48)
    return f"{slug(whole, 41)}-{digest(name)[:6]}"


def _changes(asked: dict, file: Path) -> Iterator[tuple[dict, dict]]:
    """(changed settings, their row) of every run: the grid in the order written, the rows within it.
    RequestError where they are too many.
    """
    grid, rows, also = asked["grid"], asked["rows"], asked["also"]
    count = math.prod(map(len, grid.values())) * max(1, len(rows)) + len(also)
    if count > _MOST_CELLS:
        raise RequestError(f"study: expected at most {_MOST_CELLS:,} runs, got {count:,} in {file}")
    for values in itertools.product(*grid.values()):
        for row in rows or [{}]:
            own = {key: value for key, value in row.items() if key not in ("label", "paper")}
            yield {**dict(zip(grid, values)), **own}, row
    for row in also:
        yield {key: value for key, value in row.items() if key not in ("label", "paper")}, row


def _distinct(
    changes: list[tuple[dict, dict]], asked: dict, where: "_Places", file: Path
) -> dict[RunConfig, tuple[dict, dict]]:
    """The runs that the changes come to, each once, with its first change and row. RequestError where one
    cannot be asked for, or two rows ask for the same.
    """
    found: dict[RunConfig, tuple[dict, dict]] = {}
    for change, row in changes:
        task = str(change.get("task", asked["settings"].get("task", RunConfig.task)))
        values = {**asked["settings"], **asked["tasks"].get(task, {}), **change}
        _, other = found.setdefault(_config(values, where, file, change), (change, row))
        if other.get("label") != row.get("label"):
            raise RequestError(
                f"study: the rows {other.get('label')!r} and {row.get('label')!r} ask for the same runs in "
                f"{file}; leave one out, or let them differ"
            )
    return found


def _config(values: dict, where: "_Places", file: Path, change: dict) -> RunConfig:
    wrong = set(values) - {item.name for item in fields(RunConfig)}
    if wrong:
        raise RequestError(
            f"study: unknown setting {', '.join(sorted(wrong))} in {file}; the settings are those of "
            "'kdviz run --help', with _ for -"
        )
    try:
        return RunConfig(
            **{
                # TOML knows no null; "none" leaves a setting open, as it does on the command line.
                key: None
                if value == "none" and RunConfig.kind(key).may_be_none
                else where.settled(key, value)
                for key, value in values.items()
            }
        )
    except RequestError as error:
        named = ", ".join(f"{key} = {short(value)}" for key, value in change.items())
        raise RequestError(
            f"study: the run with {named or 'these settings'}: {error}", field=error.field
        ) from None


class _Places:
    """Paths of a study's file, absolute: beside the file, where they once were, or where we are."""

    def __init__(self, base: Path, known: dict[str, str]):
        self._base, self._known = base, known
        self.found: dict[str, str] = {}

    def settled(self, key: str, value: object) -> object:
        if key not in PATH_SETTINGS or not isinstance(value, str) or value in TEACHERS or "\0" in value:
            return value
        path = os.path.expanduser(value.strip().strip("\"'"))
        if os.path.isabs(path):
            return os.path.normpath(path)
        known = [Path(self._known[value])] if value in self._known else []
        for place in (self._base / path, *known, Path(path)):
            if os.path.isdir(place):
                self.found[value] = os.path.abspath(place)
                return self.found[value]
        return os.path.abspath(self._base / path) if key == "data_dir" else value


def _check_numbers(content: dict, file: Path) -> None:
    """TOML's whole numbers have 64 bits; Python reads any, and cannot write out the largest."""
    left: list[object] = [content]
    while left:
        part = left.pop()
        if isinstance(part, int) and not -(2**63) <= part < 2**63:
            raise RequestError(f"study: expected whole numbers of 64 bits in {file}, got {short(part)}")
        left += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _check_shape(content: dict, file: Path) -> None:
    unknown = set(content) - _KNOWN
    if unknown:
        raise RequestError(
            f"study: expected name, title, about, [settings], [grid], [[rows]], [[also]], [tasks], "
            f"[resources], [show] and [sizes], got {', '.join(sorted(unknown))} in {file}"
        )
    for name in _TABLES:
        if not isinstance(content.get(name, {}), dict):
            raise RequestError(
                f"study: expected {', '.join(f'[{name}]' for name in _TABLES)} as tables in {file}"
            )
    for size, part in content.get("sizes", {}).items():
        if size not in SIZES or not isinstance(part, dict):
            raise RequestError(
                f"study: expected [sizes.minutes], [sizes.hours] and [sizes.paper] as tables, got "
                f"{size!r} in {file}"
            )
        if set(part) - {"settings", "grid", "rows", "tasks", "resources"}:
            raise RequestError(
                f"study: expected settings, grid, rows, tasks and resources in [sizes.{size}], got "
                f"{', '.join(sorted(part))} in {file}"
            )
    for part in (content, *content.get("sizes", {}).values()):
        _check_part(part, file)
    for key in ("name", "title", "about"):
        value = content.get(key, file.stem)
        if not isinstance(value, str) or (key == "name" and not value.strip()):
            raise RequestError(f"study: expected {key} as a text, got {str(value)[:60]!r} in {file}")
    if not content:
        raise RequestError(f"study: expected [settings], [grid] or [[rows]] in {file}, got an empty file")
    show = content.get("show", {})
    if wrong := set(show) - {"columns", "x"}:
        raise RequestError(
            f"study: expected columns and x in [show], got {', '.join(sorted(wrong))} in {file}"
        )
    columns = show.get("columns", [])
    if not isinstance(columns, list) or set(map(str, columns)) - set(COLUMNS) - set(METRIC_TITLES):
        raise RequestError(f"study: expected [show] columns among {', '.join(COLUMNS)} in {file}")


def _x_of(asked: str | None, varied: list[str], file: Path, *, is_copy: bool) -> str | None:
    """What the study's curves are drawn over. RequestError where that gives none; a copy, which may be of an
    older version, then has none.
    """
    along = _along(varied)
    if asked is None or asked in along:
        return asked
    if is_copy:
        return None
    among = ", ".join(along) if len(along) > 1 else f"{along[0]} alone"
    raise RequestError(
        "study: expected [show] x to be a setting with numbers that the study varies, or parameters "
        f"({among}), got {repr(asked)[:80]} in {file}"
    )


def _along(varied: list[str]) -> list[str]:
    """What curves can be drawn over: numbers, and several of them. Seeds are what means are taken over."""
    return ["parameters", *(name for name in varied if name != "seed" and RunConfig.kind(name).is_number)]


def _check_part(part: dict, file: Path) -> None:
    for name in ("settings", "grid", "tasks", "resources"):
        if not isinstance(part.get(name, {}), dict):
            raise RequestError(f"study: expected [settings], [grid] and [resources] as tables in {file}")
    for task, values in part.get("tasks", {}).items():
        if task not in TASKS or not isinstance(values, dict):
            raise RequestError(
                f"study: expected [tasks.NAME] tables of {', '.join(TASKS)}, got {task!r} in {file}"
            )
    for name in ("rows", "also"):
        value = part.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise RequestError(f"study: expected [[rows]] and [[also]] as tables in {file}")
        if not all(isinstance(row.get(key, ""), str) for row in value for key in ("label", "paper")):
            raise RequestError(f"study: expected label and paper of a row as texts in {file}")
        wrong = {row["paper"] for row in value if row.get("paper")} - set(paper.TABLE)
        if wrong:
            raise RequestError(
                f"study: expected paper of a row to be one of {', '.join(paper.TABLE)}, got "
                f"{', '.join(sorted(wrong))[:80]!r} in {file}"
            )
    if not all(isinstance(values, list) and values for values in part.get("grid", {}).values()):
        raise RequestError(f"study: expected a list of values for every name in [grid] of {file}")


def _size(content: dict, asked: str | None, file: Path) -> str | None:
    sizes = content.get("sizes", {})
    if asked is None:
        return next((size for size in SIZES if size in sizes), None)
    if asked not in sizes:
        there = ", ".join(sizes) or "no sizes: leave --size out"
        raise RequestError(f"study: {file.name} has {there}; got --size {asked}", field="size")
    return asked


def _resources(values: dict, file: Path) -> Resources:
    try:
        asked = Resources(**values)
        numbers = [value for value in (asked.cpus, asked.gpus, asked.memory_gb) if value is not None]
        if any(isinstance(value, bool) or not 0 <= value < 1e6 for value in numbers):
            raise ValueError
        if asked.cpus is not None and (asked.cpus < 1 or asked.cpus != int(asked.cpus)):
            raise ValueError
        return asked if asked.cpus is None else Resources(**{**values, "cpus": int(asked.cpus)})
    except (TypeError, ValueError):
        raise RequestError(
            "study: expected cpus (a whole number from 1), gpus and memory_gb as numbers in [resources] of "
            f"{file}, got {str(values)[:120]}"
        ) from None
