"""Carrying a study out in the app's queue: one run of it at a time, so that others' runs get their turn.

A thread of this process feeds the queue and holds nothing that matters: what is done is in the run folders,
and a server that was restarted goes on where they say.
"""

import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from kdviz.errors import RequestError, kind_and_line
from kdviz.jobs.lazy_imports import import_heavy
from kdviz.jobs.limits import Limits
from kdviz.jobs.process_wide import process_wide
from kdviz.jobs.queue import Queue
from kdviz.machine import cores_beside_pages
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run
from kdviz.studies.check import Checked, Forecast, check_study
from kdviz.studies.folder import StudyFolder
from kdviz.studies.identity import cell_mark
from kdviz.studies.progress import Progress
from kdviz.studies.render import write_results
from kdviz.studies.spec import Study
from kdviz.studies.table import make_table
from kdviz.training.request import resolve_request

log = logging.getLogger(__name__)

CHECKING, READY, RUNNING, STOPPING, ENDED = "checking", "ready", "running", "stopping", "ended"
LOOK_SECONDS = 0.2
_guard = threading.Lock()


class QueuedStudy:
    """One study of one runs folder: checked first, then, once somebody starts it, carried out."""

    def __init__(self, study: Study, queue: Queue):
        self.study, self._queue = study, queue
        self.phase, self.error, self.current = CHECKING, None, None
        self.forecast: Forecast | None = None
        self.progress: Progress | None = None
        self._go, self._stop = threading.Event(), threading.Event()
        self.extra: dict = {}
        threading.Thread(target=self._work, name=f"kdviz-study-{study.id}", daemon=True).start()

    @property
    def is_active(self) -> bool:
        return self.phase in (RUNNING, STOPPING)

    def start(self, extra: dict) -> None:
        """Let the queue train what is not finished; `extra` goes into each run's config.json (its owner).
        RequestError where the study is not ready for it.
        """
        with _guard:
            if self.phase != READY:
                raise RequestError(f"study {self.study.id!r} is {self.phase}; there is nothing to start")
            self.extra, self.phase = extra, RUNNING
        self._go.set()

    def stop(self) -> None:
        """Stop the run in progress and start no other; the study can be continued."""
        self._stop.set()
        if self.phase == RUNNING:
            self.phase = STOPPING
        current = self.current
        if current:
            try:
                self._queue.stop(current)
            except RequestError as error:  # it has just ended by itself
                log.info("study %s: %s", self.study.id, error)
        self._go.set()

    def _work(self) -> None:
        runs_dir = self._queue.runs_dir
        try:
            import_heavy()
            self.forecast = check_study(self.study, runs_dir, num_threads=cores_beside_pages())
            _check_limits(self.forecast, runs_dir)
            self.progress = Progress(self.forecast)
            self.phase = READY
            self._go.wait()
            if not self._stop.is_set():
                folder = StudyFolder(runs_dir, self.study.id)
                with folder.carrying_out(self.study, "app"):
                    self._carry_out(folder)
        except RequestError as error:
            self.error = str(error)
        except Exception as error:
            log.exception("study %s broke", self.study.id)
            self.error = kind_and_line(error)
        finally:
            self.phase, self.current = ENDED, None

    @property
    def _is_to_end(self) -> bool:
        return self._stop.is_set() or self._queue.is_closed

    def _carry_out(self, folder: StudyFolder) -> None:
        failed = {}
        self.progress.begin()
        for checked in self.forecast.open:
            if self._is_to_end:
                break
            self.current = checked.cell.run_id
            reason = self._train(checked)
            self.progress.done(self.current)
            self.progress.done(checked.teacher)
            if reason:
                failed[self.current] = reason
                folder.note({"failed": failed})
        write_results(make_table(self.study, folder.runs_dir), folder.folder)

    def _train(self, checked: Checked) -> str | None:
        """Why the run failed; None where it is finished, or stopped with the whole study."""
        run_id, folder = checked.cell.run_id, self._queue.runs_dir / checked.cell.run_id
        try:
            if not RunFiles(folder).config.exists():
                planned = {"seconds": checked.seconds, "teacher_seconds": checked.teacher_seconds}
                extra = {"study": self.study.id, "planned": planned, **cell_mark(checked.cell.config)}
                self._queue.submit(checked.cell.config, run_id=run_id, extra={**extra, **self.extra})
            elif Run(folder).state != "finished":
                self._queue.take_up(run_id)
            while self._queue.holds(run_id):
                if self._stop.is_set() and self._queue.place(run_id):
                    self._queue.stop(run_id)
                time.sleep(LOOK_SECONDS)
            state = Run(folder).state
        except (RequestError, ValueError, OSError) as error:
            return kind_and_line(error) if isinstance(error, OSError) else str(error)
        if state == "finished" or self._is_to_end:
            return None
        if state == "stopped":
            return "it was stopped before its end"
        return self._queue.note(run_id) or str(Run(folder).status.get("error") or f"it is {state}")


def _check_limits(forecast: Forecast, runs_dir: Path) -> None:
    """What this server allows one run has to hold for each of them."""
    limits, seen = Limits.from_environment(), set()
    for checked in forecast.open:
        key = replace(checked.cell.config, seed=0)
        if key not in seen:
            seen.add(key)
            limits.check_run(resolve_request(key), runs_dir)


def queued_study(study: Study, queue: Queue, *, anew: bool = False) -> QueuedStudy:
    """This process's one QueuedStudy of that study, made (and checked, in a thread) when first asked for;
    `anew` makes another once it has ended.
    """
    with _guard:
        known = _known()
        key = (os.path.realpath(queue.runs_dir), study.id)
        found = known.get(key)
        if found is None or (anew and found.phase == ENDED):
            found = known[key] = QueuedStudy(study, queue)
        return found


def known_study(runs_dir: Path, study_id: str) -> QueuedStudy | None:
    """The QueuedStudy where this process has one."""
    with _guard:
        return _known().get((os.path.realpath(runs_dir), study_id))


def _known() -> dict[tuple[str, str], QueuedStudy]:
    return process_wide("studies", dict)
