"""Files written so that a crash leaves the old or the new content, never half of one. Who may write is
settled by `kdviz.locks`.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

MEBIBYTE, GIBIBYTE = 1 << 20, 1 << 30
"""Bytes."""
Stamp = tuple[int, ...]
"""Of a file, by `stamp_of`: inode, bytes, and when content and inode changed, in nanoseconds."""


def open_regular(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open an ordinary file in the mode rb or ab; OSError where there is none, ValueError where it is
    something else: a pipe would be waited for, and a device has no end.
    """
    flags = os.O_RDONLY if mode == "rb" else os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return open(descriptor, mode)
        os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.ENXIO):  # a folder; a pipe without a reader
            raise
    raise ValueError("an ordinary file was expected, got a pipe, a device or a folder")


def is_regular(path: Path) -> bool:
    """Whether there is an ordinary file."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def stamp_of(path: Path) -> Stamp:
    """Another one where the file is another or was changed; OSError where there is none."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def file_sum(path: Path) -> str:
    """sha256 of an ordinary file's content, in hexadecimal; errors as of `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept_sum(path: Path) -> str:
    """`file_sum`, remembered while the file's stamp stays."""
    return sum_as_of(path, stamp_of(path))


@lru_cache(maxsize=1024)
def sum_as_of(path: Path, stamp: Stamp) -> str:
    """`file_sum` of a file that has this stamp."""
    return file_sum(path)


def size_words(num_bytes: float) -> str:
    """A size on disk as people say it: "0.9 kB", "267.9 MB", "1.3 GB". What is set in MiB, as memory is, is
    said by `kdviz.jobs.limits.in_words`.
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:,.1f} {name}"
    return f"{num_bytes / 1e3:,.1f} kB"


def free_bytes(folder: Path) -> float:
    """What is free on the disk where `folder` is or will be; infinite where the system does not tell, as some
    network and container file systems do by saying that they have no size.
    """
    folder = Path(folder).absolute()
    for place in (folder, *folder.parents):
        with suppress(OSError):
            disk = shutil.disk_usage(place)
            return disk.free if disk.total else math.inf
    return math.inf


def take_place(path: Path) -> None:
    """Give every byte of a file its place on the disk, holes too. OSError where the disk has none: who later
    writes through a map of the file, where the system can only end the process, never meets a full disk.
    """
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system without it
                    raise
        for begin in range(0, size, MEBIBYTE):  # what is there, again: zeros, where there was a hole
            file.seek(begin)
            content = file.read(MEBIBYTE)
            file.seek(begin)
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` through a temporary name in the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "a file was expected, there is a folder; move it away", str(path)
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_output(path: Path, content: bytes, *, beginning: bytes) -> None:
    """Write to a path that a person gave: through links, and into a pipe or device as it is, so that
    `--out /dev/stdout` puts no file in its place. OSError where it cannot be written, and where there is a
    file that begins otherwise than with `beginning`: it is of another kind, and would be lost.
    """
    path = Path(os.path.realpath(path))
    if is_regular(path):
        with open_regular(path) as file:
            if file.read(len(beginning)) not in (beginning, b""):
                raise FileExistsError(errno.EEXIST, "it holds something else, which would be lost")
    elif path.exists():
        path.write_bytes(content)
        return
    write_bytes(path, content)


def write_json(path: Path, value: object) -> None:
    """Replace `path` by `value` as JSON."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: object) -> bytes:
    """`value` as JSON for people. NaN and infinity are refused by the format, so they become null."""
    return (json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n").encode()


def read_json(path: Path) -> object:
    """The JSON value in an ordinary file (UTF-8). OSError or ValueError where there is none."""
    try:
        with open_regular(path) as file:
            return json.loads(file.read().decode("utf-8-sig"))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def object_in(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none, or it cannot be read."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
