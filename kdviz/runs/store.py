"""The runs of a folder: which there are, by what names, and why another folder is none.

A folder that cannot be read is one `Unreadable` entry with its reason; it never hides the others.
"""

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.files import Stamp, stamp_of
from kdviz.runs.layout import STUDIES, TEACHERS, RunFiles
from kdviz.runs.reader import Run, is_run, why_no_run

RUN_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESERVED_NAMES = {TEACHERS, STUDIES}


@dataclass(frozen=True)
class Unreadable:
    """A folder under the runs folder that is not a run this version can read."""

    id: str
    folder: Path
    reason: str


def check_run_id(run_id: str) -> str:
    """`run_id` if it can be a folder name of a run, else a RequestError."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise RequestError(
            "run id: expected 1 to 64 of a-z 0-9 . _ - starting with a letter or digit, got "
            f"{str(run_id)[:80]!r}; choose another name",
            field="run_id",
        )
    if run_id in RESERVED_NAMES:
        raise RequestError(
            "run id: expected 1 to 64 of a-z 0-9 . _ - other than what kdviz keeps for itself "
            f"({', '.join(sorted(RESERVED_NAMES))}), got {run_id!r}; choose another name",
            field="run_id",
        )
    return run_id


class Store:
    """The runs of several folders: the first is the runs folder, the others are read only (the stored
    demo).
    """

    def __init__(self, *roots: Path):
        self.roots = tuple(Path(root) for root in roots)
        self._known: dict[Path, tuple[Stamp, Run]] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[Run]:
        """The readable entries of `list()`."""
        return [entry for entry in self.list() if isinstance(entry, Run)]

    def list(self) -> list[Run | Unreadable]:
        """Every entry, newest first within each root; a missing root is empty. Of several of one name the
        first root's alone, as `open` has it: a copy of a demo run, made in the runs folder, is what that name
        means.
        """
        entries, taken = [], set(RESERVED_NAMES)
        for root in self.roots:
            try:
                folders = [
                    path
                    for path in root.iterdir()
                    if os.path.isdir(path) and path.name[0] != "." and path.name not in taken
                ]
            except FileNotFoundError:
                continue
            except OSError as error:
                entries.append(Unreadable(root.name, root, f"it is the runs folder ({error.strerror})"))
                continue
            taken |= {folder.name for folder in folders}
            found = [self._entry(folder) for folder in folders]
            entries += sorted(
                found,
                key=lambda entry: (getattr(entry, "config", {}).get("created") or "", entry.id),
                reverse=True,
            )
        return entries

    def open(self, run_id: str) -> Run:
        """The run of that id; RequestError where the id is malformed, unknown or unreadable."""
        check_run_id(run_id)
        for root in self.roots:
            if os.path.isdir(root / run_id):
                entry = self._entry(root / run_id)
                if isinstance(entry, Unreadable):
                    raise RequestError(f"run {run_id!r} cannot be read: {entry.reason}", field="run_id")
                return entry
        may_not = os.path.isdir(self.roots[0]) and not os.access(self.roots[0], os.R_OK | os.X_OK)
        why = "and that folder may not be read" if may_not else "but there is none; see 'kdviz list'"
        raise RequestError(f"run {run_id!r} was expected under {self.roots[0]}, {why}", field="run_id")

    def _entry(self, folder: Path) -> Run | Unreadable:
        if not RUN_ID.fullmatch(folder.name):
            return Unreadable(folder.name, folder, "its name is no run id (1 to 64 of a-z 0-9 . _ -)")
        try:
            stamp = stamp_of(RunFiles(folder).config)
        except PermissionError as error:
            return Unreadable(folder.name, folder, f"it may not be read ({error.strerror})")
        except (OSError, ValueError):
            return Unreadable(folder.name, folder, why_no_run(folder))
        with self._lock:
            known = self._known.get(folder)
        if known and known[0] == stamp:
            return known[1]
        try:
            run = Run(folder)
        except ValueError as error:
            return Unreadable(folder.name, folder, str(error))
        with self._lock:
            self._known[folder] = (stamp, run)
        return run


def check_runs_folder(runs_dir: Path) -> None:
    """RequestError where the folder that was given for that of all runs is a run's own."""
    if is_run(runs_dir):
        raise RequestError(
            f"runs_dir: expected the folder that holds the runs, got that of one run, {runs_dir}; give "
            f"{runs_dir.parent}",
            field="runs_dir",
        )


def existing_run(runs_dir: Path, run_id: str) -> Path:
    """The folder of a readable run that lies in `runs_dir` itself, not behind a link. RequestError else."""
    folder = Path(runs_dir) / check_run_id(run_id)
    if folder.is_symlink() and folder.is_dir():
        raise RequestError(
            f"run {run_id!r} was expected as a folder in {runs_dir}, got a link, and a run is changed where "
            "it lies; give the runs folder that it leads into",
            field="run_id",
        )
    if not folder.is_dir():
        raise RequestError(
            f"run {run_id!r} was expected as a folder in {runs_dir}, but there is none", field="run_id"
        )
    try:
        Run(folder)
    except ValueError as error:
        raise RequestError(f"run {run_id!r} cannot be read: {error}", field="run_id") from None
    return folder
