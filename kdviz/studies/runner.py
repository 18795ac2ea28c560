"""Carrying a study out on this machine: teachers first, then one run after the other; what fails is told and
left, what is finished is never run again.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.runs.files import RunFiles
from kdviz.runs.reader import Run
from kdviz.studies.check import Checked, Forecast
from kdviz.studies.folder import StudyFolder
from kdviz.studies.identity import cell_mark
from kdviz.studies.progress import Progress
from kdviz.studies.render import write_results
from kdviz.studies.spec import Study
from kdviz.studies.table import make_table
from kdviz.terminal import ProgressLine
from kdviz.training.request import resolve_request

Say = Callable[[str], None]


def run_here(study: Study, forecast: Forecast, runs_dir: Path, *, say: Say = print) -> dict[str, str]:
    """Carry out what is not finished. Returns why runs failed, by id. Stopped on Ctrl-C: the same command
    goes on where it was.
    """
    folder, failed, progress = StudyFolder(runs_dir, study.id), {}, Progress(forecast)
    with folder.carrying_out(study, "here"), _stop_on_interrupt() as stop:
        broken = _make_teachers(study, forecast, runs_dir, stop, progress, say)
        for checked in forecast.open:
            run_id = checked.cell.run_id
            say(f"{run_id} ({progress.text})")
            reason = broken.get(checked.teacher) or _carry_out(study, checked, runs_dir, stop)
            progress.done(run_id)
            if reason:
                failed[run_id] = reason
                say(f"kdviz: {run_id} failed and is left out: {reason}")
                folder.note({"failed": failed})
        write_results(make_table(study, runs_dir), folder.folder)
    return failed


def start_run(study_id: str, checked: Checked, runs_dir: Path) -> Path:
    """The folder of the cell's run, made where it is not there."""
    from kdviz.jobs.launch import create_run

    folder = Path(runs_dir) / checked.cell.run_id
    if RunFiles(folder).config.exists():
        return folder
    return create_run(
        checked.cell.config,
        runs_dir,
        checked.cell.run_id,
        extra={"study": study_id, **cell_mark(checked.cell.config)},
    )


def _make_teachers(
    study: Study, forecast: Forecast, runs_dir: Path, stop: threading.Event, progress: Progress, say: Say
) -> dict[str, str]:
    """Make what teachers are missing; why some could not be, by fingerprint."""
    from kdviz.training.teacher_alone import make_teacher

    def check_stop() -> None:
        if stop.is_set():
            raise Stopped

    broken = {}
    for name, checked in forecast.teachers.items():
        config = checked.cell.config
        say(f"teacher for {config.task} ({config.teacher}, {config.teacher_epochs} epochs; {progress.text})")
        line = ProgressLine(sys.stderr)
        try:
            make_teacher(
                resolve_request(config),
                runs_dir,
                check_stop=check_stop,
                progress=line.show,
                num_threads=study.resources.cpus,
            )
        except (RunFailed, RequestError) as error:
            broken[name] = str(error)
        finally:
            line.end()
            progress.done(name)
    return broken


def _carry_out(study: Study, checked: Checked, runs_dir: Path, stop: threading.Event) -> str | None:
    """Why the run failed, None where it is finished."""
    from kdviz.jobs.launch import execute

    line = ProgressLine(sys.stderr)
    try:
        folder = start_run(study.id, checked, runs_dir)
        if Run(folder).state != "finished":
            execute(folder, stop=stop, progress=line.show, num_threads=study.resources.cpus)
    except (RunFailed, RequestError) as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        line.end()
    return None


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
