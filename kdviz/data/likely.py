"""Which folder was probably meant, where the one given is not in the GLUE release layout."""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from kdviz.task import Task

MOST_LOOKED_AT = 200
"""Entries of a folder that are looked at: a home folder or a network disk must not make an error slow."""

_HUBS = re.compile(r".*\.(parquet|arrow)|dataset_(dict|info)\.json|datasets--.*|nyu-mll___glue|\d+\.\d+\.\d+")
"""What lies in the hub's repository, in a cache, and where datasets' save_to_disk wrote."""
_ARCHIVES = re.compile(r".*\.(zip|tar|tgz|tar\.gz)")


def likely_folder(task: Task, given: Path) -> str | None:
    """What to give instead of `given`, as half a sentence; None where nothing like the task is near.

    Looked at are the folder above, two floors below, folders of a similar name, and the task's own folder
    spelled otherwise or given itself.
    """
    given = Path(os.path.abspath(given))
    try:
        for candidate in _near(given):
            if os.path.isdir(candidate / task.folder):
                return f"did you mean {candidate}, which holds {task.folder}/? give that folder"
        for candidate in (given, given.parent, *_folders(given)):
            if other := _spelled_otherwise(task, candidate):
                if _entry(candidate / other, _HUBS):
                    return _of_the_hub(candidate / other)
                return f"{candidate} holds {other}/: rename that to {task.folder}/, and give {candidate}"
        for candidate in (given, *_folders(given)):
            if _entry(candidate, _HUBS) or _HUBS.fullmatch(candidate.name):
                return _of_the_hub(candidate)
        if archive := _entry(given, _ARCHIVES):
            return f"{archive[:100]} is there: unpack it, and give the folder that holds {task.folder}/"
        for candidate in (given, given.parent):
            if os.path.isfile(candidate / "train.tsv"):
                return (
                    f"{candidate} holds train.tsv itself: put it into a folder {task.folder}/ and give the "
                    "folder above that"
                )
    except (OSError, ValueError):
        return None
    return None


def _of_the_hub(folder: Path) -> str:
    return f"{folder} is as the hub or datasets' save_to_disk has it: choose the source hub"


def _entry(folder: Path, names: re.Pattern[str]) -> str | None:
    """The first entry of a folder with one of these names; None where there is none."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entry.name for entry, _ in zip(entries, range(MOST_LOOKED_AT)))
    except OSError:
        return None
    return next((name for name in found if names.fullmatch(name)), None)


def _near(given: Path) -> Iterator[Path]:
    """Folders that may have been meant, the likeliest first."""
    yield given.parent
    yield given.parent.parent
    children = _folders(given)
    yield from children
    for child in children:
        yield from _folders(child)
    yield from _mistyped(given)


def _mistyped(given: Path) -> Iterator[Path]:
    """Existing folders that differ from `given` in the spelling of its first part that is not there."""
    missing = [path for path in (*reversed(given.parents), given) if not os.path.isdir(path)]
    if not missing:
        return
    first = missing[0]
    rest = given.relative_to(first)
    by_name: dict[str, Path] = {path.name.lower(): path for path in _folders(first.parent)}
    for name in difflib.get_close_matches(first.name.lower(), by_name, n=3, cutoff=0.6):
        yield by_name[name] / rest
        yield by_name[name]
    yield from by_name.values()


def _spelled_otherwise(task: Task, folder: Path) -> str | None:
    """The task's folder in `folder` under another spelling: cola, SST2, sst_2."""
    wanted = _letters(task.folder)
    return next((path.name for path in _folders(folder) if _letters(path.name) == wanted), None)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _folders(folder: Path) -> list[Path]:
    """The folders in `folder`, in order of name, hidden ones left out; [] where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            found = []
            for number, entry in enumerate(entries):
                if number >= MOST_LOOKED_AT:
                    break
                if not entry.name.startswith(".") and entry.is_dir():
                    found.append(Path(entry.path))
            return sorted(found)
    except OSError:
        return []
