"""Carrying a study out on this machine: teachers first, then the runs, as many at once as there is room for;
what fails is told and left, what is finished is never run again.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.errors import Stopped
from kdviz.studies.check import Forecast
from kdviz.studies.folder import StudyFolder
from kdviz.studies.progress import Progress
from kdviz.studies.render import write_results
from kdviz.studies.spec import Study
from kdviz.studies.table import make_table
from kdviz.studies.workers import Job, Workers, workers
from kdviz.text import counted

Say = Callable[[str], None]


def run_here(study: Study, forecast: Forecast, runs_dir: Path, *, say: Say = print) -> dict[str, str]:
    """Carry out what is not finished. Returns why runs failed, by id. Stopped on Ctrl-C: the same command
    goes on where it was.
    """
    folder = StudyFolder(runs_dir, study.id)
    with (
        folder.carrying_out(study, "here"),
        _stop_on_interrupt() as stop,
        workers(forecast.at_once, stop) as hands,
    ):
        errand = _Errand(study, forecast, Path(runs_dir), hands, folder, say)
        errand.work(stop)
        write_results(make_table(study, runs_dir), folder.folder)
    return errand.failed


class _Errand:
    """What is still to be begun, and which teachers it waits for."""

    def __init__(
        self,
        study: Study,
        forecast: Forecast,
        runs_dir: Path,
        hands: Workers,
        folder: StudyFolder,
        say: Say,
    ):
        self._study, self._runs_dir, self._hands = study, runs_dir, hands
        self._folder, self._say = folder, say
        self._teachers, self._runs = dict(forecast.teachers), list(forecast.open)
        self._awaited, self._broken = set(self._teachers), {}
        self._names: dict[Job, str] = {}
        self._progress = Progress(forecast)
        self.failed: dict[str, str] = {}

    def work(self, stop: threading.Event) -> None:
        """Until everything has ended, or Stopped."""
        num_busy = 0
        while True:
            while num_busy < self._hands.at_once and not stop.is_set() and (job := self._next()):
                self._hands.begin(job)
                num_busy += 1
            if not num_busy:
                break
            for job, reason in self._hands.ended():
                num_busy -= 1
                self._ended(job, reason)
        if stop.is_set():
            raise Stopped

    def _next(self) -> Job | None:
        """What can be begun now: a teacher, else the first run whose teacher is there."""
        if self._teachers:
            name = next(iter(self._teachers))
            config = self._teachers.pop(name).cell.config
            self._say(
                f"teacher for {config.task} ({config.teacher}, {counted(config.teacher_epochs, 'epoch')}; "
                f"{self._progress.text})"
            )
            return self._job(name, config, None)
        for checked in list(self._runs):
            if checked.teacher in self._awaited:
                continue
            self._runs.remove(checked)
            run_id = checked.cell.run_id
            self._say(f"{run_id} ({self._progress.text})")
            if reason := self._broken.get(checked.teacher):
                self._run_ended(run_id, reason)
                continue
            return self._job(run_id, checked.cell.config, run_id)
        return None

    def _job(self, name: str, config: RunConfig, run_id: str | None) -> Job:
        job = Job(
            study_id=self._study.id,
            config=config,
            run_id=run_id,
            runs_dir=self._runs_dir,
            num_threads=self._study.resources.cpus,
        )
        self._names[job] = name
        return job

    def _ended(self, job: Job, reason: str | None) -> None:
        name = self._names.pop(job)
        if job.run_id is not None:
            self._run_ended(name, reason)
            return
        self._awaited.discard(name)
        self._progress.done(name)
        if reason:
            self._broken[name] = reason

    def _run_ended(self, run_id: str, reason: str | None) -> None:
        self._progress.done(run_id)
        if reason:
            self.failed[run_id] = reason
            self._say(f"kdviz: {run_id} failed and is left out: {reason}")
            self._folder.note({"failed": self.failed})


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that the run in progress ends in an orderly way."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
