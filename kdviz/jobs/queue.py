"""Runs waiting for their turn: one worker thread per process, everything about a run on disk.

The queue object holds only what dies with the process anyway: who waits here, who runs here, who was asked to
stop. A run's own state is its folder's (`status.json` and locks), so a server that was killed loses no run:
the one that was going shows as interrupted, the waiting ones are still listed as queued and can be taken up
again.

Two locks of the operating system keep several servers and the command line apart on one runs folder:
`<run>/lock` is held by whoever trains the run, `<run>/waiting.lock` by the process in whose queue it is.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdviz.errors import RequestError, RunFailed, Stopped, kind_and_line
from kdviz.files import object_in, read_json, write_json
from kdviz.jobs.delete import delete_run
from kdviz.jobs.lazy_imports import give_back_memory, import_heavy
from kdviz.jobs.process_wide import process_wide
from kdviz.jobs.stop import request_stop
from kdviz.locks import exclusive, is_locked
from kdviz.machine import cores_beside_pages
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run
from kdviz.runs.store import check_run_id, existing_run

log = logging.getLogger(__name__)

CAN_BE_TAKEN_UP = ("queued", "stopped", "interrupted", "failed")
_shared_guard = threading.Lock()


@dataclass
class _Ticket:
    """One run in this process's queue, from joining it until its training ends."""

    run_id: str
    group: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    claim: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


class Queue:
    """The runs of one runs folder that this process trains, one after the other.

    `create(config, runs_dir, run_id, extra=...)` and `execute(folder, stop=..., num_threads=...)` are
    `kdviz.jobs`' `create_run` and `execute`, imported when first needed (torch takes seconds).
    """

    def __init__(
        self,
        runs_dir: Path,
        *,
        execute: Callable | None = None,
        create: Callable | None = None,
    ):
        self.runs_dir = Path(runs_dir)
        self._execute, self._create = execute, create
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._current: list[_Ticket] = []
        self._notes: dict[str, str] = {}
        self._worker: threading.Thread | None = None
        self._closed = False

    # ---- what is going on

    @property
    def current(self) -> str | None:
        """The run being trained by this process, the first of those that are trained together."""
        return next(iter(self.training), None)

    @property
    def training(self) -> tuple[str, ...]:
        """The runs being trained by this process: one, or several students of one teacher."""
        with self._changed:
            return tuple(ticket.run_id for ticket in self._current)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The runs waiting in this process, next one first."""
        with self._changed:
            return tuple(ticket.run_id for ticket in self._waiting)

    def place(self, run_id: str) -> int | None:
        """1 for the next run to start, 2 for the one after it, ...; None where it does not wait here."""
        waiting = self.waiting
        return waiting.index(run_id) + 1 if run_id in waiting else None

    def holds(self, run_id: str) -> bool:
        """Whether the run waits or is trained here. One question: asked one after the other, a run that
        begins in between would be in neither.
        """
        with self._changed:
            return any(ticket.run_id == run_id for ticket in (*self._waiting, *self._current))

    def is_stopping(self, run_id: str) -> bool:
        """Whether the run was asked to stop and has not ended yet."""
        with self._changed:
            return any(ticket.run_id == run_id and ticket.stop.is_set() for ticket in self._current)

    @property
    def is_closed(self) -> bool:
        """Whether the server ends, so that nothing is trained here any more."""
        return self._closed

    def note(self, run_id: str) -> str | None:
        """One line on why the run ended badly in this process; kept here because a full disk keeps
        nothing.
        """
        return self._notes.get(run_id)

    def waits_elsewhere(self, run_id: str) -> bool:
        """Whether the run is in the queue of another process."""
        return not self.holds(run_id) and is_locked(RunFiles(self.runs_dir / check_run_id(run_id)).waiting)

    # ---- what can be asked

    def submit(self, config: object, *, run_id: str | None = None, extra: dict | None = None) -> str:
        """Check `config`, make its run folder and let it wait. RequestError where it cannot be done."""
        create = self._create or _create().create_run
        folder = create(config, self.runs_dir, run_id, extra=extra)
        self._append(self._claim(folder.name))
        return folder.name

    def submit_together(
        self, config: object, strategies: Sequence[str], *, extra: dict | None = None
    ) -> tuple[str, ...]:
        """The same for several strategies of one teacher: a run each, trained in one pass when it is their
        turn.
        """
        folders = _together().create_together(config, strategies, self.runs_dir, extra=extra)
        self._append(*(self._claim(folder.name) for folder in folders))
        return tuple(folder.name for folder in folders)

    def take_up(self, run_id: str) -> None:
        """Let a run that is left over, stopped, interrupted or failed wait for its turn; it goes on where it
        was. RequestError where it is in another state, or trained elsewhere.
        """
        run = Run(existing_run(self.runs_dir, run_id))
        state = run.state
        if state not in CAN_BE_TAKEN_UP:
            raise RequestError(
                f"run {run_id!r} is {state}; only a run that is {', '.join(CAN_BE_TAKEN_UP)} can be taken up"
            )
        ticket = self._claim(run_id)
        try:
            with exclusive(run.files.lock) as held:
                if not held:
                    raise RequestError(
                        f"run {run_id!r} is being trained by another process; wait until it ends"
                    )
                _set_state(run.folder, "queued", phase="waiting")
            self._append(ticket)
        except (RequestError, OSError):
            ticket.claim.close()
            raise

    def stop(self, run_id: str) -> None:
        """Ask a run to stop, also one that another process trains; one that waits here becomes stopped at
        once.

        RequestError where it neither runs nor waits.
        """
        with self._changed:
            for ticket in self._current:
                if ticket.run_id == run_id:
                    ticket.stop.set()
                    return
            ticket = next((one for one in self._waiting if one.run_id == run_id), None)
            if ticket is not None:
                self._waiting.remove(ticket)
        if ticket is None:
            request_stop(existing_run(self.runs_dir, run_id))
            return
        try:
            _record(self.runs_dir / run_id, "stopped")
        except OSError as error:
            self._remember(run_id, f"its status could not be written: {error}")
        finally:
            ticket.claim.close()

    def delete(self, run_id: str) -> None:
        """Remove the folder of a run that neither runs nor waits. RequestError where it is anything else."""
        if self.holds(run_id) or self.waits_elsewhere(run_id):
            raise RequestError(f"run {run_id!r} runs or waits; stop it first")
        delete_run(self.runs_dir, run_id)
        self._notes.pop(run_id, None)

    def close(self, timeout_seconds: float = 10) -> None:
        """Stop what runs, leave what waits as it is on disk, end the worker."""
        with self._changed:
            self._closed = True
            for ticket in self._current:
                ticket.stop.set()
            left, self._waiting = self._waiting, []
            self._changed.notify_all()
        for ticket in left:
            ticket.claim.close()
        if self._worker:
            self._worker.join(timeout_seconds)

    # ---- inside

    def _claim(self, run_id: str) -> _Ticket:
        """Hold the run's `waiting.lock`, so that it is in no other queue."""
        ticket = _Ticket(check_run_id(run_id), group=_group_of(self.runs_dir / run_id))
        if not ticket.claim.enter_context(exclusive(RunFiles(self.runs_dir / run_id).waiting)):
            ticket.claim.close()
            raise RequestError(f"run {run_id!r} already waits or runs; there is nothing to do")
        return ticket

    def _append(self, *tickets: _Ticket) -> None:
        """Put runs at the end of the queue and wake the worker (made at the first run)."""
        with self._changed:
            if self._closed:
                raise RequestError("the queue of this server is closed; start the app again")
            for ticket in tickets:
                self._notes.pop(ticket.run_id, None)
            self._waiting.extend(tickets)
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="kdviz-worker", daemon=True)
                self._worker.start()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                first = self._waiting[0]
                self._current = [
                    ticket
                    for ticket in self._waiting
                    if ticket is first or (first.group and ticket.group == first.group)
                ]
                self._waiting = [ticket for ticket in self._waiting if ticket not in self._current]
            try:
                startable = [ticket for ticket in self._current if self._is_queued(ticket)]
                if len(startable) > 1:
                    self._train_together(startable)
                else:
                    for ticket in startable:
                        self._train(ticket)
            finally:
                with self._changed:
                    done, self._current = self._current, []
                for ticket in done:
                    ticket.claim.close()
                give_back_memory()

    def _is_queued(self, ticket: _Ticket) -> bool:
        """Whether the run still waits on disk; that one has gone, or cannot be read, is told to the page."""
        try:
            state = Run(self.runs_dir / ticket.run_id).state
        except ValueError as error:
            self._remember(ticket.run_id, kind_and_line(error))
            return False
        if state != "queued":
            log.info("run %s is %s by now, so it is not started", ticket.run_id, state)
        return state == "queued"

    def _train_together(self, tickets: list[_Ticket]) -> None:
        """Train several students of one teacher in one pass; each ends in its own way."""
        import_heavy()
        stops = {ticket.run_id: ticket.stop for ticket in tickets}
        try:
            _together().execute_together(
                [self.runs_dir / run_id for run_id in stops],
                stops=stops,
                ended=self._let_go,
                num_cores=cores_beside_pages(),
            )
        except Exception as error:
            log.exception("runs %s broke", ", ".join(stops))
            for run_id in self.training:
                self._remember(run_id, str(error))

    def _let_go(self, run_id: str, error: Exception | None) -> None:
        """One of several has ended: it can be taken up or removed while the others go on."""
        if error is not None and not isinstance(error, Stopped):
            self._remember(run_id, str(error))
        with self._changed:
            ticket = next(one for one in self._current if one.run_id == run_id)
            self._current.remove(ticket)
        ticket.claim.close()

    def _train(self, ticket: _Ticket) -> None:
        """Train one run to its end. Whatever goes wrong is one line kept for the page; the next run
        starts.
        """
        folder = self.runs_dir / ticket.run_id
        try:
            if self._execute is None:
                import_heavy()
            execute = self._execute or _execute().execute
            execute(folder, stop=ticket.stop, num_threads=cores_beside_pages())
        except Stopped:
            pass
        except (RunFailed, RequestError) as error:
            self._remember(ticket.run_id, str(error))
        except Exception as error:
            log.exception("run %s broke", ticket.run_id)
            self._remember(ticket.run_id, kind_and_line(error))
            with contextlib.suppress(OSError):
                _record(folder, "failed", error=kind_and_line(error))

    def _remember(self, run_id: str, reason: str) -> None:
        log.warning("run %s: %s", run_id, reason)
        self._notes[run_id] = reason


def shared(runs_dir: Path) -> Queue:
    """The one queue of this process for `runs_dir`.

    Else (see `kdviz.jobs.process_wide`) a training thread could be left that nobody can stop.
    """
    key = os.path.realpath(runs_dir)
    queues: dict[str, Queue] = process_wide("queues", dict)
    with _shared_guard:
        return queues.setdefault(key, Queue(Path(runs_dir)))


def close_shared() -> None:
    """End every queue of this process in order, before the process ends. Torch in a thread that outlives
    Python breaks the process ("terminate called"), and what its run did since the last epoch is lost.
    """
    for queue in list(process_wide("queues", dict).values()):
        queue.close()


def _record(folder: Path, state: str, **more: object) -> None:
    """`_set_state` for a run that nobody trains; a folder that has vanished stays away."""
    if not RunFiles(folder).config.exists():
        return
    with exclusive(RunFiles(folder).lock) as held:
        if held:
            _set_state(folder, state, **more)


def _set_state(folder: Path, state: str, **more: object) -> None:
    """Change the state in status.json, keeping the rest. Only for a run whose lock is held."""
    path = RunFiles(folder).status
    write_json(path, {**object_in(path), "error": None, "state": state, **more})


def _group_of(folder: Path) -> str | None:
    """What the runs that were asked for together have in common, from config.json."""
    try:
        group = read_json(RunFiles(folder).config).get("together")
    except (OSError, ValueError, AttributeError):
        return None
    return group if isinstance(group, str) else None


def _together():
    from kdviz.jobs import together

    return together


def _create():
    from kdviz.jobs import create

    return create


def _execute():
    from kdviz.jobs import execute

    return execute
