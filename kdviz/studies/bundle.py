"""Folders as bytes: how teachers, data and runs travel between machines that share no disk."""

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from kdviz.errors import RequestError


def pack(folder: Path, *, prefix: str = "", keep: Callable[[Path], bool] = lambda path: True) -> bytes:
    """The files of `folder` for which `keep` holds, by their paths relative to it, under `prefix`; links are
    followed.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and keep(path.relative_to(folder)):
                archive.add(
                    path, arcname=str(PurePosixPath(prefix, path.relative_to(folder))), recursive=False
                )
    return buffer.getvalue()


def unpack(content: bytes, folder: Path, *, settle: Callable[[Path], None] = lambda folder: None) -> Path:
    """Write what `pack` made into `folder`: whole or not at all, and nothing outside of it. RequestError
    where the bytes are no such thing. `settle` may change the files before the folder appears under its name.
    """
    folder = Path(folder)
    incoming = folder.with_name(f".incoming-{folder.name}-{os.getpid()}")
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            archive.extractall(incoming, filter="data")
        settle(incoming)
        if folder.exists():
            old = folder.with_name(f".replaced-{folder.name}-{os.getpid()}")
            os.rename(folder, old)
            os.rename(incoming, folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(incoming, folder)
    except tarfile.TarError as error:
        raise RequestError(
            f"a folder that arrived from another machine cannot be unpacked: {error}"
        ) from None
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return folder
