"""Making a run's folder: everything that can be checked is checked before there is one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from kdviz import __version__
from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.files import free_bytes, size_words, write_json
from kdviz.locks import exclusive, is_locked
from kdviz.runs.layout import DELETED, NEW, RunFiles
from kdviz.runs.reader import FORMAT_VERSION
from kdviz.runs.store import check_run_id, check_runs_folder
from kdviz.runs.writer import now
from kdviz.training.request import Request, resolve_request

FREE_BYTES_LEFT = 64_000_000
"""What the disk must have free for a run to begin."""
LEFTOVER_SECONDS = 3600
"""After that nobody is still making a run's folder: it takes a moment."""
PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "safetensors")
T = TypeVar("T")


class Taken(RequestError):
    """The run id is another run's."""


def create_run(
    config: RunConfig | Request,
    runs_dir: Path | str,
    run_id: str | None = None,
    *,
    extra: dict | None = None,
) -> Path:
    """Check everything that can be checked before training, and make the run's folder, state queued.

    `config` may be a request that a preview resolved before. Returns the folder. RequestError, and no folder,
    where the request cannot be carried out, or asks for a model that is not on this machine. `extra` is added
    to config.json.
    """
    if run_id is not None:
        check_run_id(run_id)
    request = config if isinstance(config, Request) else resolve_request(config)
    runs_dir = Path(runs_dir)
    record = {
        "format_version": FORMAT_VERSION,
        **request.record(),
        "versions": {"kdviz": __version__, **_versions()},
        "created": now(),
        **(extra or {}),
    }
    if run_id is not None:
        return _make(runs_dir, run_id, request, record)
    what = request.config.strategy
    return with_fresh_id(runs_dir, request.config, what, lambda free: _make(runs_dir, free, request, record))


def no_runs_folder(got: str) -> RequestError:
    """What to say where `got` was given for the runs folder, and no run can be made there."""
    return RequestError(
        f"runs_dir: expected a folder that can be written, got {got}; choose another with --runs-dir",
        field="runs_dir",
    )


def with_fresh_id(runs_dir: Path, config: RunConfig, what: str, make: Callable[[str], T]) -> T:
    """What `make` makes under a run id that is free; where somebody takes it meanwhile, under another."""
    for _ in range(3):
        with contextlib.suppress(Taken):
            return make(_fresh_id(runs_dir, config, what))
    return make(_fresh_id(runs_dir, config, what))


def _make(runs_dir: Path, run_id: str, request: Request, record: dict) -> Path:
    """The folder of a new run, filled."""
    with _new_folder(runs_dir, run_id) as folder:
        if request.data.source == "sample":
            write_json(
                RunFiles(folder).phenomena,
                {str(example.index): example.phenomenon for example in request.evaluation},
            )
        write_json(
            RunFiles(folder).status,
            {
                "state": "queued",
                "phase": "waiting",
                "step": 0,
                "total_steps": request.total_steps,
                "epoch": 0,
                "error": None,
                "created": record["created"],
            },
        )
        write_json(RunFiles(folder).config, record)
    return runs_dir / run_id


@contextlib.contextmanager
def _new_folder(runs_dir: Path, run_id: str) -> Iterator[Path]:
    """A folder to be filled in the block, which then becomes that run's, whole; where the block breaks there
    is none. RequestError where there is one already, or none can be made.
    """
    check_runs_folder(runs_dir)
    hidden = runs_dir / f".{run_id}.{secrets.token_hex(4)}{NEW}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        if free_bytes(runs_dir) < FREE_BYTES_LEFT:
            raise RequestError(
                f"runs_dir: expected at least {size_words(FREE_BYTES_LEFT)} free at {runs_dir}, got less; "
                "free some space or choose another folder",
                field="runs_dir",
            )
        clear_leftovers(runs_dir)
        hidden.mkdir()
    except OSError as error:
        got = f"{runs_dir} ({error.strerror})"
        if os.path.isfile(runs_dir):
            got = f"the file {runs_dir}"
        elif os.path.islink(runs_dir) and not os.path.exists(runs_dir):
            got = f"{runs_dir}, a link that leads nowhere"
        raise no_runs_folder(got) from None
    try:
        with exclusive(RunFiles(hidden).lock):
            yield hidden
        if os.path.lexists(runs_dir / run_id):
            raise FileExistsError(errno.EEXIST, "it exists")
        os.rename(hidden, runs_dir / run_id)
    except BaseException as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if getattr(error, "errno", None) in (errno.EEXIST, errno.ENOTEMPTY):
            raise Taken(
                f"run_id: {run_id!r} exists already in {runs_dir}; choose another name, or 'kdviz resume "
                f"{run_id}'",
                field="run_id",
            ) from None
        raise


def _fresh_id(runs_dir: Path, config: RunConfig, what: str) -> str:
    """A run id with which none begins: task, what it is, depth and time."""
    stem = f"{config.task}-{what}-{config.student_layers}l-{time.strftime('%m%d-%H%M%S')}"
    return f"{stem}-{secrets.token_hex(2)}" if any(runs_dir.glob(f"{stem}*")) else stem


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def clear_leftovers(runs_dir: Path) -> None:
    """Remove what killed processes left of runs that were being made, if for an hour, or removed."""
    for path in [*runs_dir.glob(f".*{NEW}"), *runs_dir.glob(f"{DELETED}*")]:
        with contextlib.suppress(OSError):
            is_young = time.time() - path.stat().st_mtime < LEFTOVER_SECONDS
            is_made = path.name.endswith(NEW) and (is_young or is_locked(RunFiles(path).lock))
            if not is_made and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
