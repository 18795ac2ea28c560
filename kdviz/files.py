"""Files written so that a crash leaves the old or the new content, never half of one. Who may write is
settled by `kdviz.locks`.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

MEBIBYTE = 1 << 20
"""Bytes."""


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
