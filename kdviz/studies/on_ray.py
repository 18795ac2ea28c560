"""Carrying a study out on a Ray cluster: one task a run, nothing shared but what is sent as bytes.

The driver (this process) keeps everything that is finished: each teacher is made once, brought here and
handed to its runs from here, and every run's folder comes back whole. So a lost machine costs the runs it was
training, which Ray tries again elsewhere, and a lost driver costs those in progress. Ray is optional:
requirements-ray.txt.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import kdviz
from kdviz.errors import RequestError, Stopped, one_line
from kdviz.files import GIBIBYTE, read_json, write_json
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.layout import RunFiles, teacher_of
from kdviz.runs.reader import Run
from kdviz.studies.bundle import pack, unpack
from kdviz.studies.check import Checked, Forecast
from kdviz.studies.folder import StudyFolder
from kdviz.studies.identity import cell_mark
from kdviz.studies.progress import Progress
from kdviz.studies.ray_tasks import DATA, Answer, Job, pack_teacher, run_task, teacher_task
from kdviz.studies.render import write_results
from kdviz.studies.spec import Study
from kdviz.studies.table import make_table
from kdviz.training.request import Request, resolve_request

RETRIES = 4
TELL_SECONDS = 30.0


def run_on_ray(
    study: Study,
    forecast: Forecast,
    runs_dir: Path,
    *,
    address: str | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, str]:
    """Carry out what is not finished. Returns why runs failed, by id. Stopped on Ctrl-C."""
    folder = StudyFolder(runs_dir, study.id)
    with _connected(address) as ray, folder.carrying_out(study, "ray"):
        driver = _Driver(ray, study, forecast, Path(runs_dir), folder, say)
        try:
            driver.work()
        except KeyboardInterrupt:
            driver.cancel()
            raise Stopped from None
        write_results(make_table(study, runs_dir), folder.folder)
        return driver.failed


class _Driver:
    """What is asked of the cluster and has not come back yet."""

    def __init__(
        self, ray, study: Study, forecast: Forecast, runs_dir: Path, folder: StudyFolder, say: Callable
    ):
        self._ray, self._study, self._forecast = ray, study, forecast
        self._runs_dir, self._folder, self._say = runs_dir, folder, say
        self._progress, self._pending = Progress(forecast), {}
        self._sent, self._known = {}, {}
        self.failed: dict[str, str] = {}
        asked = study.resources
        options = {
            "num_cpus": asked.cpus or 1,
            "num_gpus": asked.gpus,
            "max_retries": RETRIES,
            "scheduling_strategy": "SPREAD",
        }
        if asked.memory_gb:
            options["memory"] = int(asked.memory_gb * GIBIBYTE)
        self._teacher_task = ray.remote(**options)(teacher_task)
        self._run_task = ray.remote(**options)(run_task)

    def work(self) -> None:
        by_teacher: dict[str, list[Checked]] = {}
        for checked in self._forecast.open:
            by_teacher.setdefault(checked.teacher, []).append(checked)
        for name, cells in by_teacher.items():
            self._ask_teacher(name, cells)
        told = time.monotonic()
        while self._pending:
            done, _ = self._ray.wait(list(self._pending), timeout=1.0)
            for reference in done:
                kind, *rest = self._pending.pop(reference)
                answer = self._answer(reference)
                (self._teacher_came if kind == "teacher" else self._run_came)(answer, *rest)
            if done or time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                self._say(f"{len(self._pending)} asked for; {self._progress.text}")

    def cancel(self) -> None:
        for reference in self._pending:
            self._ray.cancel(reference, force=True)

    def _answer(self, reference) -> Answer:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:  # its machine was lost too often, or memory ran out
            return Answer(content=None, error=why_lost(error))

    def _ask_teacher(self, name: str, cells: list[Checked]) -> None:
        """The teacher may be here from before, under the name that a worker's arithmetic gives it."""
        named = str(self._folder.state.get("teachers", {}).get(name, name))
        kept = named if (teacher_of(self._runs_dir, named) / SAFETENSORS).exists() else None
        job, inputs = self._job(cells[0])
        self._pending[self._teacher_task.remote(job, inputs, kept)] = ("teacher", name, cells)

    def _teacher_came(self, answer: Answer, name: str, cells: list[Checked]) -> None:
        self._progress.done(name)
        if answer.error is not None:
            for checked in cells:
                self._fail(checked, f"the teacher could not be made: {answer.error}")
            return
        folder = teacher_of(self._runs_dir, answer.teacher)
        if answer.content is not None:
            names = self._here(cells[0]).names
            unpack(answer.content, folder, settle=lambda incoming: _settle_teacher(incoming, names))
        self._folder.note({"teachers": {**self._folder.state.get("teachers", {}), name: answer.teacher}})
        teacher = self._ray.put((answer.teacher, answer.content or pack_teacher(folder)))
        for checked in cells:
            begun = self._runs_dir / checked.cell.run_id
            content = pack(begun) if RunFiles(begun).config.exists() else None
            job, inputs = self._job(checked)
            self._pending[self._run_task.remote(job, inputs, teacher, content)] = ("run", checked)

    def _run_came(self, answer: Answer, checked: Checked) -> None:
        run_id = checked.cell.run_id
        if answer.content is not None:
            names = self._here(checked).names
            try:
                folder = unpack(
                    answer.content,
                    self._runs_dir / run_id,
                    settle=lambda incoming: _settle_run(incoming, names),
                )
                if answer.error is None and Run(folder).state != "finished":
                    answer = Answer(content=None, error=f"it came back {Run(folder).state}")
            except (RequestError, ValueError, OSError, KeyError) as error:
                answer = Answer(content=None, error=f"it cannot be kept here: {error}")
        if answer.error is not None:
            self._fail(checked, answer.error)
            return
        self._progress.done(run_id)
        self._say(f"{run_id} is finished ({self._progress.text})")

    def _fail(self, checked: Checked, reason: str) -> None:
        run_id = checked.cell.run_id
        self._progress.done(run_id)
        self.failed[run_id] = reason
        self._folder.note({"failed": self.failed})
        self._say(f"kdviz: {run_id} failed and is left out: {reason}")

    def _job(self, checked: Checked) -> tuple[Job, object]:
        """A run for a worker, and a reference to the folders it needs of this machine."""
        here = self._here(checked)
        if here.folders not in self._sent:
            contents = {
                name: pack(Path(path), prefix=Path(path).name if name == DATA else "")
                for name, path in here.folders
            }
            self._sent[here.folders] = self._ray.put(contents)
        job = Job(
            run_id=checked.cell.run_id,
            settings={**here.settings, "seed": checked.cell.config.seed},
            source=here.names["data"]["source"],
            extra={"study": self._study.id, **cell_mark(checked.cell.config)},
            num_threads=self._study.resources.cpus or 1,
        )
        return job, self._sent[here.folders]

    def _here(self, checked: Checked) -> "_Here":
        """Found once for all seeds."""
        key = replace(checked.cell.config, seed=0)
        if key not in self._known:
            self._known[key] = _Here.of(resolve_request(key))
        return self._known[key]


def why_lost(error: Exception) -> str:
    """What ended a task's machine or process, in one line, without Ray's account of the way there."""
    cause = getattr(error, "cause", None) or error
    return " ".join(f"{type(cause).__name__}: {cause}".split())[:300]


@dataclass(frozen=True, kw_only=True)
class _Here:
    """What a request is on this machine: its settings, the names in config.json that tell of places, and the
    (setting, folder) that a worker cannot have.
    """

    settings: dict
    names: dict
    folders: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: Request) -> "_Here":
        record, settings = request.data.record(), request.config.to_dict()
        folders = {
            "teacher": settings["teacher"],
            "student_checkpoint": settings["student_checkpoint"],
            DATA: record["origin"] if record["source"] == "folder" else None,
        }
        return cls(
            settings=settings,
            names={name: settings[name] for name in ("source", "teacher", "student_checkpoint", DATA)}
            | {"data": record},
            folders=tuple(
                (name, path)
                for name, path in folders.items()
                if path and os.path.isabs(path) and os.path.isdir(path)
            ),
        )


def _settle_teacher(folder: Path, names: dict) -> None:
    record = read_json(folder / "teacher.json")
    write_json(folder / "teacher.json", {**record, "checkpoint": names["teacher"]})


def _settle_run(folder: Path, names: dict) -> None:
    """Give a run that was trained elsewhere the names that its settings have here."""
    record = read_json(RunFiles(folder).config)
    data = {**record["data"], **{name: names["data"][name] for name in ("origin", "note")}}
    write_json(RunFiles(folder).config, {**record, **names, "data": data})


@contextmanager
def _connected(address: str | None) -> Iterator:
    """Ray, connected to the cluster at `address` (default: RAY_ADDRESS, one on this machine, or a new one
    here); RequestError where it is not installed or cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise RequestError(
            "--on ray: Ray is not installed; pip install -r requirements-ray.txt, or leave --on out"
        ) from None
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            runtime_env={"py_modules": [str(Path(kdviz.__file__).parent)]},
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"--address: no Ray cluster answers at {address or 'this machine'} ({one_line(error, 200)}); "
            "start one with 'ray start --head'",
            field="address",
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()
