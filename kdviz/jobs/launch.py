"""Creating a run and carrying it out: the one way in for the app, the command line and scripts."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kdviz import __version__
from kdviz.config import RunConfig
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.files import free_bytes, read_json, size_words, write_json
from kdviz.jobs.stop import Stop, StopSignal
from kdviz.locks import exclusive, is_locked
from kdviz.machine import cores_allowed, most_threads
from kdviz.runs.layout import DELETED, NEW, RunFiles
from kdviz.runs.reader import FORMAT_VERSION, Run, check_run_id
from kdviz.runs.writer import RunWriter, now
from kdviz.training.request import Request, recorded_request, resolve_request

if TYPE_CHECKING:
    from kdviz.training.shared import Shared

FREE_BYTES_LEFT = 64_000_000
"""What the disk must have free for a run to begin."""
LEFTOVER_SECONDS = 3600
"""After that nobody is still making a run's folder: it takes a moment."""
_OS_ERROR = re.compile(r"\(os error (\d{1,9})\)")
T = TypeVar("T")
PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "safetensors")


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


class Taken(RequestError):
    """The run id is another run's."""


def execute(
    folder: Path | str,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[dict], None] | None = None,
    num_threads: int | None = None,
    shared: Shared | None = None,
) -> None:
    """Carry out a run, from its start or its last checkpoint, and leave its state in status.json.

    Raises Stopped, RunFailed or RequestError after having written that state. `stop` is looked at in every
    step. `progress` gets status.json's content whenever it is written. `num_threads`: torch threads (default:
    as many as this process may use; a resumed run keeps those it began with, so that its numbers are those of
    an unbroken run). `shared`: what runs before this one have made that it needs too.
    """
    folder, stop = Path(folder), stop or threading.Event()
    with exclusive(RunFiles(folder).lock) as ours:
        if not ours:
            raise RequestError(
                f"run {folder.name!r} is being trained by another process; wait for it or stop it there",
                field="run_id",
            )
        clear_litter(folder)
        writer = RunWriter(folder, on_status=progress)
        try:
            for _ in carry_out(writer, StopSignal(stop, folder), num_threads, shared):
                pass
        finally:
            writer.close()


def clear_leftovers(runs_dir: Path) -> None:
    """Remove what killed processes left of runs that were being made, if for an hour, or removed."""
    for path in [*runs_dir.glob(f".*{NEW}"), *runs_dir.glob(f"{DELETED}*")]:
        with contextlib.suppress(OSError):
            is_young = time.time() - path.stat().st_mtime < LEFTOVER_SECONDS
            is_made = path.name.endswith(NEW) and (is_young or is_locked(RunFiles(path).lock))
            if not is_made and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


def clear_litter(folder: Path) -> None:
    """Remove what a killed process left half-written, files and whole checkpoints; the lock says that nobody
    writes. RequestError where the folder holds what must not be written to.
    """
    for inside, _, names in os.walk(folder):
        for path in (Path(inside, name) for name in names):
            if not stat.S_ISREG(path.lstat().st_mode):
                raise RequestError(
                    f"run {folder.name!r}: expected ordinary files, got a link, a pipe or a device at "
                    f"{path.relative_to(folder)}, and nothing is written to what lies elsewhere; put a file "
                    "there, or remove it",
                    field="run_id",
                )
    for litter in list(folder.rglob(".*.tmp")):
        if litter.is_dir() and not litter.is_symlink():
            shutil.rmtree(litter, ignore_errors=True)
        else:
            litter.unlink(missing_ok=True)


class Turn(Enum):
    """Why a run that is carried out hands over to others that are trained with it."""

    BEGUN = "its state says running, nothing is loaded yet"
    STEP = "a step, or an epoch with its evaluation, is done"
    TRAINED = "all epochs are done; what is left measures times, and wants the machine for itself"


def carry_out(
    writer: RunWriter, stop: Stop, num_threads: int | None, shared: Shared | None = None
) -> Iterator[Turn]:
    """Carry out the run of `writer`, whose lock is held, handing over between steps; its end is written
    however it ends. `shared`: see `kdviz.training.prepare.prepare`.

    Raises Stopped, RunFailed or RequestError after having written that state.
    """
    begin = time.monotonic()
    try:
        writer.update_status(
            force=True,
            state="running",
            phase="loading",
            waiting=None,
            error=None,
            started=now(),
            finished=None,
        )
        yield Turn.BEGUN
        yield from _train(writer, stop, num_threads, shared)
    except Stopped:
        _settle(writer, "stopped", None)
        raise
    except (RunFailed, RequestError) as error:
        writer.log.error("%s", error)
        _settle(writer, "failed", str(error))
        raise
    except Exception as error:
        if not writer.folder.is_dir():
            raise RunFailed("the run's folder is gone: it was moved or deleted meanwhile") from error
        writer.log.error("%s", traceback.format_exc())
        reason = _reason(error)
        _settle(writer, "failed", reason)
        raise RunFailed(f"{reason}; details in {writer.folder / 'log.txt'}") from error
    else:
        writer.log.info("finished after %.1f s", time.monotonic() - begin)
        _settle(writer, "finished", None)


def _train(writer: RunWriter, stop: Stop, num_threads: int | None, shared: Shared | None) -> Iterator[Turn]:
    import torch

    from kdviz.training.distill import Distillation
    from kdviz.training.prepare import prepare

    try:
        Run(writer.folder)
    except ValueError as error:
        raise RequestError(f"run {writer.folder.name!r} cannot be carried out: {error}") from None
    record = read_json(writer.files.config)
    asked = record.get("num_threads") or num_threads or cores_allowed()
    torch.set_num_threads(min(asked, most_threads()))
    request = recorded_request(record)
    settled = vars(request.arithmetic) | {"num_threads": torch.get_num_threads()}
    if record.get("device") not in (None, settled["device"]):
        writer.log.warning("device: %s (%s)", settled["device"], settled["device_reason"])
    if not settled.items() <= record.items():
        write_json(writer.files.config, {**record, **settled})

    def check_stop() -> None:
        if stop.is_set():
            raise Stopped

    check_stop()
    if shared is not None and shared.num_threads:
        torch.set_num_threads(shared.num_threads)
    prepared = prepare(writer, request, check_stop, shared)
    torch.set_num_threads(settled["num_threads"])
    writer.log.info("teacher outputs for training are %s", prepared.train_outputs.reason)
    writer.update_status(
        teacher_outputs=prepared.train_outputs.reason, num_truncated=prepared.train.num_truncated
    )
    distillation = Distillation(prepared, writer, check_stop)
    for _ in distillation.train():
        yield Turn.STEP
    yield Turn.TRAINED
    distillation.finish()


def _settle(writer: RunWriter, state: str, error: str | None) -> None:
    # On a full disk or in a vanished folder the state is told by the lock, which ends with us.
    with contextlib.suppress(OSError):
        writer.update_status(
            force=True,
            state=state,
            error=error,
            finished=now(),
            phase="done",
            seconds_left=None,
            waiting=None,
        )


def _reason(error: Exception) -> str:
    error = _of_system(error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "there is not enough memory for this run; choose a smaller batch_size, max_length or teacher"
    if isinstance(error, OSError):
        where = f", {Path(error.filename).name}" if isinstance(error.filename, str) else ""
        return (
            f"a file could not be read or written ({error.strerror or error}{where}); check the disk and the "
            "runs folder"
        )
    return (
        f"unexpected {type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}".rstrip(
            ": "
        )
    )


def _of_system(error: Exception) -> Exception:
    """An error of the system as Python's own, where a library tells it in its words: "(os error 28)"."""
    found = _OS_ERROR.search(str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else error


@contextlib.contextmanager
def _new_folder(runs_dir: Path, run_id: str) -> Iterator[Path]:
    """A folder to be filled in the block, which then becomes that run's, whole; where the block breaks there
    is none. RequestError where there is one already, or none can be made.
    """
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
        raise RequestError(
            f"runs_dir: expected a folder that can be written, got {got}; choose another with --runs-dir",
            field="runs_dir",
        ) from None
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


def with_fresh_id(runs_dir: Path, config: RunConfig, what: str, make: Callable[[str], T]) -> T:
    """What `make` makes under a run id that is free; where somebody takes it meanwhile, under another."""
    for _ in range(3):
        with contextlib.suppress(Taken):
            return make(_fresh_id(runs_dir, config, what))
    return make(_fresh_id(runs_dir, config, what))


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
