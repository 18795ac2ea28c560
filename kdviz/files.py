"""Files that several processes share: written so that a crash leaves the old or the new content, never half
of one, and locked so that one writes at a time.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from filelock import lock_descriptor

from kdviz.errors import RequestError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` through a temporary name in the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Replace `path` by `value` as JSON. NaN and infinity are refused by the format, so they become null."""
    write_bytes(path, (json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> object:
    """The JSON value in `path` (UTF-8). OSError or ValueError where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def json_line(value: dict) -> str:
    """`value` as one line of JSON with its line end, floats rounded to 7 significant digits."""
    return json.dumps(rounded(finite(value)), ensure_ascii=False) + "\n"


def finite(value: object) -> object:
    """`value` with every float that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, (np.floating, float)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value


def rounded(value: object) -> object:
    """`value` with every float rounded to 7 significant digits (float32 has no more)."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def write_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Replace `path` by a safetensors file of `arrays`."""
    from safetensors.numpy import save

    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata))


@contextmanager
def exclusive(path: Path, *, patience_seconds: float = 0.2) -> Iterator[bool]:
    """Hold the lock file `path` for the block; yields False where another process or thread holds it.

    The lock is the operating system's, so it ends with the process that held it: no stale locks. It is asked
    for again during `patience_seconds`, because `is_locked` of thirty viewers holds it for microseconds at a
    time. RequestError where the file system has no locks: nothing could then keep two processes apart.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        give_up = time.monotonic() + patience_seconds
        while not (ours := _lock(file, path)) and time.monotonic() <= give_up:
            time.sleep(0.01)
        yield ours


def _lock(file: IO[bytes], path: Path) -> bool:
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        raise RequestError(
            f"the folder {path.parent} cannot be locked ({error.strerror}), so nothing would keep two "
            "programs from writing to it at once; choose a folder on a local disk (for runs: --runs-dir "
            "or KDVIZ_RUNS_DIR)"
        ) from None


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock file `path` now; False where nobody can, for want of locks."""
    try:
        with _probing, open(path, "rb") as file:
            for pause in (0.002, 0.004, 0.0):  # another process may be looking at this very moment
                if lock_descriptor(file.fileno(), blocking=False):
                    return False
                time.sleep(pause)
            return True
    except PermissionError:
        return True
    except OSError:
        return False


_probing = threading.Lock()
