"""Deleting a run: its folder and nothing else, and never under whoever trains it or lets it wait."""

import os
import shutil
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.locks import exclusive
from kdviz.runs.layout import DELETED, RunFiles
from kdviz.runs.store import existing_run


def delete_run(runs_dir: Path, run_id: str) -> None:
    """Remove one run's folder, and nothing else: no link is followed, and a run that is being trained, or
    waits in whichever process' queue, is refused.

    The folder gets a name that no listing shows before its files go, so a half-deleted run is never seen.
    """
    folder = existing_run(runs_dir, run_id)
    with exclusive(RunFiles(folder).waiting) as waits_nowhere, exclusive(RunFiles(folder).lock) as held:
        if not held:
            raise RequestError(f"run {run_id!r} is being trained; stop it first")
        if not waits_nowhere:
            raise RequestError(f"run {run_id!r} waits in the queue of another process; stop it there first")
        doomed = folder.with_name(f"{DELETED}{run_id}-{os.getpid()}")
        os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)  # who clears up after others may be at it too
    if doomed.exists():
        shutil.rmtree(doomed)
