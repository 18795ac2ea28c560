"""Carrying out a run, from its start or its last checkpoint to its end, whatever that is."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.files import read_json, write_json
from kdviz.jobs.lazy_imports import import_heavy
from kdviz.jobs.stop import Stop, StopSignal
from kdviz.locks import exclusive
from kdviz.machine import cores_allowed, most_threads
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run
from kdviz.runs.writer import RunWriter, now
from kdviz.training.request import recorded_request

if TYPE_CHECKING:
    from kdviz.training.shared import Shared

_OS_ERROR = re.compile(r"\(os error (\d{1,9})\)")


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


def clear_litter(folder: Path) -> None:
    """Remove what a killed process left half-written, files and whole checkpoints; the lock says that nobody
    writes. RequestError where the folder holds what must not be written to.
    """
    for inside, folders, names in os.walk(folder):
        for path in (Path(inside, name) for name in (*folders, *names)):
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise RequestError(
                    f"run {folder.name!r}: expected ordinary files and folders, got a link, a pipe or a "
                    f"device at {path.relative_to(folder)}, and nothing is written to what lies elsewhere; "
                    "put what it stands for there, or remove it",
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
    SHOWN = "its files show what it is before training, or at its last checkpoint"
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
            teacher_outputs=None,
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
    import_heavy()
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
    with _threads_of(shared):
        prepared = prepare(writer, request, check_stop, shared)
    distillation = Distillation(prepared, writer, check_stop)
    distillation.start()
    yield Turn.SHOWN
    writer.update_status(force=True, phase="teacher_outputs", phase_progress=0.0, waiting=None)
    with _threads_of(shared):
        outputs = prepared.train_outputs
    writer.log.info("teacher outputs for training are %s", outputs.reason)
    writer.update_status(
        force=True,
        phase="distilling",
        phase_progress=None,
        waiting=None,
        teacher_outputs=outputs.reason,
        num_truncated=prepared.train.num_truncated,
    )
    for _ in distillation.train():
        yield Turn.STEP
    yield Turn.TRAINED
    distillation.finish()


@contextlib.contextmanager
def _threads_of(shared: Shared | None) -> Iterator[None]:
    """The torch threads for what students share, meanwhile."""
    import torch

    own = torch.get_num_threads()
    torch.set_num_threads((shared and shared.num_threads) or own)
    try:
        yield
    finally:
        torch.set_num_threads(own)


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
