"""Several students of one teacher, trained together.

Teacher, data, teacher's outputs, probes and batches are made once; the students take turns, step by step, in
as many threads as there are cores for. Each has its own run folder, stop and resume, and its numbers are
those of a run trained alone with the same number of torch threads.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.config import RunConfig
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.files import read_json
from kdviz.jobs.create import create_run, with_fresh_id
from kdviz.jobs.execute import Turn, carry_out, clear_litter
from kdviz.jobs.stop import StopSignal
from kdviz.locks import exclusive
from kdviz.machine import cores_allowed
from kdviz.runs.layout import RunFiles
from kdviz.runs.store import check_run_id
from kdviz.runs.writer import RunWriter
from kdviz.training.request import Request, resolve_request

if TYPE_CHECKING:
    from kdviz.training.shared import Shared


def create_together(
    config: RunConfig | Request,
    strategies: Sequence[str],
    runs_dir: Path | str,
    run_id: str | None = None,
    *,
    extra: dict | None = None,
) -> list[Path]:
    """Make a run folder for each strategy, RUN_ID-STRATEGY, all queued; config.json names the group under
    "together". RequestError, and no folder at all, where one of them cannot be carried out.
    """
    check_different(strategies)
    request = config if isinstance(config, Request) else resolve_request(config)
    requests = {strategy: request.with_strategy(strategy) for strategy in strategies}

    def make(group: str) -> list[Path]:
        return _make_together(requests, group, Path(runs_dir), extra or {})

    if run_id is not None:
        return make(check_run_id(run_id))
    return with_fresh_id(Path(runs_dir), request.config, "together", make)


def check_different(strategies: Sequence[str]) -> None:
    """RequestError where these are not several, or one of them is named twice."""
    if len(strategies) < 2 or len(set(strategies)) != len(strategies):
        raise RequestError(
            f"strategy: expected different strategies to train together, got {','.join(strategies)}",
            field="strategy",
        )


def _make_together(requests: Mapping[str, Request], group: str, runs_dir: Path, extra: dict) -> list[Path]:
    """A folder for each strategy's request, or none at all."""
    names = {strategy: check_run_id(f"{group}-{strategy}") for strategy in requests}
    folders: list[Path] = []
    try:
        for strategy, one in requests.items():
            more = {**extra, "together": group}
            folders.append(create_run(one, runs_dir, names[strategy], extra=more))
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return folders


def execute_together(
    folders: Sequence[Path | str],
    *,
    stops: Mapping[str, threading.Event] | None = None,
    progress: Callable[[str, dict], None] | None = None,
    ended: Callable[[str, Exception | None], None] = lambda run_id, error: None,
    num_threads: int | None = None,
    num_cores: int | None = None,
) -> dict[str, Exception | None]:
    """Carry out several runs in one pass, each from its start or its last checkpoint. Returns how each ended,
    by run id: None where it finished, else what `kdviz.jobs.execute.execute` would have raised.

    `stops` and `progress` as there, by run id; a run that is stopped or breaks leaves the others alone. It is
    let go of as soon as it has ended, and `ended` is told then.
    `num_threads`: torch threads of each student; as many students as then fit into `num_cores` (default: what
    this process may use) train at once. By default what they share is made with all cores, and each student
    gets its part of them. Resumed runs keep the threads they began with.
    """
    num_cores, stops = num_cores or cores_allowed(), stops or {}
    own_threads = num_threads or max(1, num_cores // len(folders))
    shared = _shared(num_threads or num_cores, len(folders))
    with contextlib.ExitStack() as held:
        students = []
        for folder in map(Path, folders):
            own = held.enter_context(contextlib.ExitStack())
            if not own.enter_context(exclusive(RunFiles(folder).lock)):
                raise RequestError(
                    f"run {folder.name!r} is being trained by another process; wait for it or stop it there",
                    field="run_id",
                )
            clear_litter(folder)
            student = _Student(folder, stops.get(folder.name) or threading.Event(), progress, own, ended)
            own.callback(student.writer.close)
            students.append(student)
        # Torch has one number of threads for the whole process: runs that began with others come later.
        for threads in sorted({student.num_threads(own_threads) for student in students}):
            some = [student for student in students if student.num_threads(own_threads) == threads]
            _train_some(some, threads, max(1, num_cores // threads), shared)
    return {student.folder.name: student.error for student in students}


def _shared(num_threads: int, num_students: int) -> Shared:
    from kdviz.training.shared import Shared

    return Shared(num_threads, num_students=num_students)


def _train_some(students: list[_Student], num_threads: int, num_workers: int, shared: Shared) -> None:
    for place, student in enumerate(students):
        student.begin(num_threads, shared, waiting=students[place + 1 :])
    for _ in range(2):  # until each is shown, then until each has made a step
        for student in students[1:]:
            if not student.is_over:
                student.writer.update_status(force=True, waiting="what all students share is made first")
        for student in students:
            student.take_turn()  # one after the other: the first makes what all share
    on_gpu = any(student.device != "cpu" for student in students)
    _take_turns(students, 1 if on_gpu else min(num_workers, len(students)))
    for student in students:
        while not student.is_over:
            student.take_turn()


def _take_turns(students: list[_Student], num_workers: int) -> None:
    """Let the students train, `num_workers` at a time, always those that are furthest behind."""
    changed, free, broken = threading.Condition(), list(students), []

    def work() -> None:
        busy = None
        try:
            while True:
                with changed:
                    if busy is not None:
                        free.append(busy)
                        busy = None
                        changed.notify_all()
                    while not (ready := [one for one in free if one.can_train]) and len(free) < len(students):
                        changed.wait()
                    if not ready or broken:
                        return
                    busy = min(ready, key=lambda student: student.num_turns)
                    free.remove(busy)
                busy.take_turn()
        except BaseException as error:
            broken.append(error)
            raise
        finally:
            with changed:
                free.extend([busy] if busy is not None else [])
                changed.notify_all()

    helpers = [
        threading.Thread(target=work, name=f"kdviz-together-{number}", daemon=True)
        for number in range(1, num_workers)
    ]
    for helper in helpers:
        helper.start()
    try:
        work()
    finally:
        for helper in helpers:
            helper.join()


class _Student:
    """One of the runs in hand: how far it is, and how it ended. `held` is what is let go of then."""

    def __init__(
        self,
        folder: Path,
        stop: threading.Event,
        progress: Callable[[str, dict], None] | None,
        held: contextlib.ExitStack,
        ended: Callable[[str, Exception | None], None],
    ):
        self._held, self._ended = held, ended
        self.folder, self.stop = folder, StopSignal(stop, folder)
        self.writer = RunWriter(folder, on_status=progress and (lambda status: progress(folder.name, status)))
        self._recorded_threads = read_json(RunFiles(folder).config).get("num_threads")
        self.turn: Turn | None = None
        self.num_turns, self.is_over = 0, False
        self.error: Exception | None = None

    def num_threads(self, default: int) -> int:
        """Torch threads: those it began with, else `default`."""
        return self._recorded_threads or default

    @property
    def device(self) -> str:
        """Where it is trained, as it was settled when it began; of a folder that has vanished nothing is."""
        try:
            return str(read_json(RunFiles(self.folder).config).get("device", "cpu"))
        except (OSError, ValueError):
            return "cpu"

    @property
    def can_train(self) -> bool:
        return not self.is_over and self.turn is not Turn.TRAINED

    def begin(self, num_threads: int, shared: Shared, waiting: Sequence[_Student]) -> None:
        """Say that the run is going; it looks after the stop signals of those that wait for it."""
        stop = _Watched(self.stop, waiting)
        self._steps = carry_out(self.writer, stop, num_threads, shared)
        self.take_turn()

    def take_turn(self, interrupted_by: Exception | None = None) -> None:
        """Go on until the next turn is over. What ends the run is kept, not raised."""
        if self.is_over:
            return
        try:
            self.turn = self._steps.throw(interrupted_by) if interrupted_by else next(self._steps)
            self.num_turns += 1
        except StopIteration:
            self._end(None)
        except (Stopped, RunFailed, RequestError) as reason:
            self._end(reason)

    def _end(self, error: Exception | None) -> None:
        self.error, self.is_over = error, True
        self._held.close()
        self._ended(self.folder.name, error)

    def leave_if_asked(self) -> None:
        """End the run where it waits for what all share and is asked to stop."""
        if self.turn in (Turn.BEGUN, Turn.SHOWN) and not self.is_over and self.stop.is_set():
            self.take_turn(Stopped())


class _Watched:
    """The stop signal of a student, and of those that wait while it makes what all share."""

    def __init__(self, own: StopSignal, waiting: Sequence[_Student]):
        self._own, self._waiting = own, waiting

    def is_set(self) -> bool:
        for student in self._waiting:
            student.leave_if_asked()
        return self._own.is_set()
