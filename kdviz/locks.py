"""Locks between processes: one writes to a folder at a time, and others see that somebody does."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import lock_descriptor

from kdviz.errors import RequestError
from kdviz.files import open_regular

_probing = threading.Lock()


@contextmanager
def exclusive(path: Path, *, patience_seconds: float = 0.2) -> Iterator[bool]:
    """Hold the lock file `path` for the block; yields False where another process or thread holds it.

    The lock is the operating system's, so it ends with the process that held it: no stale locks. It is asked
    for again during `patience_seconds`, because `is_locked` of thirty viewers holds it for microseconds at a
    time. RequestError where the file system has no locks: nothing could then keep two processes apart.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock_file(path) as file:
        give_up = time.monotonic() + patience_seconds
        while not (ours := _lock(file, path)) and time.monotonic() <= give_up:
            time.sleep(0.01)
        yield ours


def _lock_file(path: Path) -> IO[bytes]:
    try:
        return open_regular(path, "ab")
    except ValueError as error:
        raise RequestError(f"{path} cannot be locked: {error}; remove it") from None


def _lock(file: IO[bytes], path: Path) -> bool:
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        raise RequestError(
            f"the folder {path.parent} cannot be locked ({error.strerror}), so nothing would keep two "
            "programs from writing to it at once; choose a folder on a local disk (for runs: --runs-dir "
            "or KDVIZ_RUNS_DIR)"
        ) from None


def _is_free(file: IO[bytes]) -> bool:
    """Asked by a shared lock where there is one: on NFS an exclusive lock wants a file open for writing."""
    try:
        import fcntl
    except ImportError:  # Windows
        return lock_descriptor(file.fileno(), blocking=False)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock file `path` now; False where nobody can, for want of locks."""
    try:
        with _probing, open_regular(path) as file:
            for pause in (0.002, 0.004, 0.0):  # it may be held for this very moment alone
                if _is_free(file):
                    return False
                time.sleep(pause)
            return True
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
