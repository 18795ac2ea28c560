"""Where a study's teachers and runs are made on this machine: in this process, or in several others at once.

Each worker is a process of its own, which keeps the teacher and its outputs from one run to the next. It ends
with the process that began it, however that one ends; a run it was training goes on from its checkpoint.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kdviz.config import RunConfig
from kdviz.errors import RequestError, RunFailed, Stopped, kind_and_line
from kdviz.files import MEBIBYTE
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run
from kdviz.studies.identity import cell_mark
from kdviz.terminal import ProgressLine, all_together

if TYPE_CHECKING:
    from kdviz.training.shared import Shared

LOOK_SECONDS = 0.5
_KEPT_BYTES = 512 * MEBIBYTE
"""Of teachers and their outputs, from one run to the next."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A teacher to be made, or, with a `run_id`, a run to be carried out."""

    study_id: str
    config: RunConfig
    run_id: str | None
    runs_dir: Path
    num_threads: int | None


class Workers(Protocol):
    """Carries jobs out, `at_once` at a time."""

    at_once: int

    def begin(self, job: Job) -> None: ...

    def ended(self) -> Sequence[tuple[Job, str | None]]:
        """Waits a moment for jobs to end: each with why it failed. Raises Stopped where one was stopped."""


@contextmanager
def workers(at_once: int, stop: threading.Event) -> Iterator[Workers]:
    """Workers that end their jobs once `stop` is set; none is left when the block ends."""
    if at_once == 1:
        yield _ThisProcess(stop)
        return
    others = [_OtherProcess() for _ in range(at_once)]
    try:
        yield _OtherProcesses(others, stop)
    finally:
        for other in others:
            other.stop()
        for other in others:
            other.close()


class _ThisProcess:
    at_once = 1

    def __init__(self, stop: threading.Event):
        self._stop, self._ended = stop, []

    @cached_property
    def _shared(self) -> Shared:
        return _shared()  # with torch, which a study that is finished does not wait for

    def begin(self, job: Job) -> None:
        line = ProgressLine(sys.stderr)
        try:
            self._ended.append((job, carry_out(job, self._stop, self._shared, line)))
        finally:
            line.end()

    def ended(self) -> Sequence[tuple[Job, str | None]]:
        found, self._ended = self._ended, []
        return found


class _OtherProcesses:
    def __init__(self, others: Sequence[_OtherProcess], stop: threading.Event):
        self.at_once, self._stop = len(others), stop
        self._free, self._busy = list(others), {}
        self._line = ProgressLine(sys.stderr)

    def begin(self, job: Job) -> None:
        other = self._free.pop()
        self._busy[other.begin(job)] = (other, job)

    def ended(self) -> Sequence[tuple[Job, str | None]]:
        if self._stop.is_set():
            for other, _ in self._busy.values():
                other.stop()
        done, _ = wait(self._busy, LOOK_SECONDS, FIRST_COMPLETED)
        self._show()
        found, stopped = [], False
        for future in done:
            other, job = self._busy.pop(future)
            self._free.append(other)
            try:
                found.append((job, future.result()))
            except Stopped:
                stopped = True
            except BrokenProcessPool:
                other.renew()
                found.append(
                    (job, "the process that trained it was ended from outside, or had no memory left")
                )
        if stopped:
            self._line.end()
            raise Stopped
        return found

    def _show(self) -> None:
        """On a terminal, how far all runs are that are trained now."""
        if not sys.stderr.isatty():
            return
        if statuses := [status for _, job in self._busy.values() if (status := _status(job))]:
            self._line.show(all_together(statuses))
        else:
            self._line.end()


def _status(job: Job) -> Mapping:
    """How far its run is; {} for a teacher, and before the worker has made the run's folder."""
    if job.run_id is None:
        return {}
    try:
        return Run(job.runs_dir / job.run_id).status
    except ValueError:
        return {}


class _OtherProcess:
    """A process that carries out one job after the other. What is sent to it asks it to stop the present one;
    when this end of the line closes, whatever the reason, it ends.
    """

    def __init__(self):
        self.renew()

    def renew(self) -> None:
        """Another process in place of one that ended."""
        context = get_context("spawn")
        receiver, self._line = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, context, initializer=_begin_worker, initargs=(receiver,))

    def begin(self, job: Job) -> Future:
        with _interrupts_held():  # the process begins with its first job, and inherits what is held
            try:
                return self._pool.submit(_carry_out_there, job)
            except BrokenProcessPool:  # it was ended from outside while it had nothing to do
                self.renew()
                return self._pool.submit(_carry_out_there, job)

    def stop(self) -> None:
        """Ask for an end of what it does now, and of all that it would be asked to do."""
        try:
            self._line.send(None)
        except OSError:
            return  # it has ended

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._line.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C in the block comes after it; to a process that begins in the block, never."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_stop, _kept = threading.Event(), []


def _begin_worker(line: Connection) -> None:
    """In a worker: Ctrl-C is for whoever began it, whose word, or end, ends the job in hand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _kept.append(_shared())

    def listen() -> None:
        try:
            while True:
                line.recv()
                _stop.set()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=listen, name="kdviz-worker", daemon=True).start()


def _carry_out_there(job: Job) -> str | None:
    return carry_out(job, _stop, _kept[0])


def carry_out(
    job: Job, stop: threading.Event, shared: Shared | None, line: ProgressLine | None = None
) -> str | None:
    """Make the teacher, or carry the run out where it is not finished: why that failed, None where it did
    not. Raises Stopped.
    """
    from kdviz.jobs.execute import execute
    from kdviz.training.request import resolve_request
    from kdviz.training.teacher_alone import make_teacher

    def check_stop() -> None:
        if stop.is_set():
            raise Stopped

    show = (lambda status: None) if line is None else line.show
    try:
        if job.run_id is None:
            request = resolve_request(job.config)
            make_teacher(
                request, job.runs_dir, check_stop=check_stop, progress=show, num_threads=job.num_threads
            )
        else:
            folder = start_run(job.study_id, job.run_id, job.config, job.runs_dir)
            if Run(folder).state != "finished":
                execute(folder, stop=stop, progress=show, num_threads=job.num_threads, shared=shared)
    except (RunFailed, RequestError) as error:
        return str(error)
    except (OSError, ValueError) as error:
        return kind_and_line(error)
    return None


def start_run(study_id: str, run_id: str, config: RunConfig, runs_dir: Path) -> Path:
    """The folder of a study's run, made where it is not there."""
    from kdviz.jobs.create import create_run

    folder = Path(runs_dir) / run_id
    if RunFiles(folder).config.exists():
        return folder
    return create_run(config, runs_dir, run_id, extra={"study": study_id, **cell_mark(config)})


def _shared() -> Shared:
    from kdviz.training.shared import Shared

    return Shared(kept_bytes=_KEPT_BYTES)
