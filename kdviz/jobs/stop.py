"""Stop, asked by a button, a key or another process: who trains a run looks here in every step."""

import threading
import time
from pathlib import Path
from typing import Protocol

from kdviz.errors import RequestError
from kdviz.locks import is_locked
from kdviz.runs.layout import RunFiles

LOOKS_EVERY_SECONDS = 0.5
"""How often the run's folder is looked at for the file `stop`."""


class Stop(Protocol):
    """Says whether to stop."""

    def is_set(self) -> bool: ...


class StopSignal:
    """Says when to stop: the caller's event, or the file `stop` that another process left in the run's
    folder.
    """

    def __init__(self, event: threading.Event, folder: Path):
        self._event, self._file, self._looked = event, RunFiles(folder).stop, 0.0
        self._file.unlink(missing_ok=True)

    def is_set(self) -> bool:
        if self._event.is_set():
            return True
        if time.monotonic() - self._looked > LOOKS_EVERY_SECONDS:
            self._looked = time.monotonic()
            if self._file.exists():
                self._file.unlink(missing_ok=True)
                self._event.set()
                return True
        return False


def request_stop(folder: Path) -> None:
    """Ask the process that trains the run in `folder`, whichever it is, to stop. RequestError where none
    does.
    """
    if not is_locked(RunFiles(folder).lock):
        why = "is not being trained; there is nothing to stop"
        if is_locked(RunFiles(folder).waiting):
            why = "waits in the queue of another process; stop it there"
        raise RequestError(f"run {folder.name!r} {why}", field="run_id")
    RunFiles(folder).stop.touch()
