"""What runs on a cluster's machines: one teacher or one run in a temporary folder, sent back as bytes.

No Ray here: a worker gets bytes and settings, and returns bytes. What goes wrong is part of the answer, so
that the log of a failed run comes back too.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.errors import RequestError, RunFailed, one_line
from kdviz.files import read_json, write_json
from kdviz.runs.layout import RunFiles, teacher_of
from kdviz.runs.reader import Run
from kdviz.studies.bundle import pack, unpack

DATA, OUTPUTS = "data_dir", "outputs"
LONGEST_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run. `source` is where the driver found the examples; `extra` goes into its config.json."""

    run_id: str
    settings: dict
    source: str
    extra: dict
    num_threads: int | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`content` of the teacher's or the run's folder where one was made; `error` where it failed; `teacher`
    names the teacher used.
    """

    content: bytes | None
    error: str | None = None
    teacher: str | None = None


def teacher_task(job: Job, inputs: dict[str, bytes], kept: str | None) -> Answer:
    """The run's fine-tuned teacher; without content where it is the one of the name `kept`, which the driver
    has.
    """
    from kdviz.training.request import resolve_request
    from kdviz.training.teacher_alone import make_teacher

    with _workplace() as place:
        try:
            request = resolve_request(_config(job, inputs, place))
            if kept == request.teacher_fingerprint:
                return Answer(content=None, teacher=kept)
            folder = make_teacher(request, place / "runs", num_threads=job.num_threads)
        except (RequestError, RunFailed, OSError) as error:
            return Answer(content=None, error=one_line(error, LONGEST_REASON))
        return Answer(content=pack_teacher(folder), teacher=folder.name)


def run_task(
    job: Job,
    inputs: dict[str, bytes],
    teacher: tuple[str, bytes],
    begun: bytes | None,
) -> Answer:
    """The finished run's folder; with `begun` (its folder so far) it goes on from its last checkpoint."""
    from kdviz.jobs.create import create_run
    from kdviz.jobs.execute import execute

    with _workplace() as place:
        runs_dir = place / "runs"
        try:
            unpack(teacher[1], teacher_of(runs_dir, teacher[0]))
            config = _config(job, inputs, place)
            if begun is None:
                folder = create_run(config, runs_dir, job.run_id, extra=job.extra)
            else:
                folder = unpack(begun, runs_dir / job.run_id)
                _settle_here(folder, config)
        except (RequestError, RunFailed, OSError) as error:
            return Answer(content=None, error=one_line(error, LONGEST_REASON))
        try:
            if Run(folder).state != "finished":
                execute(folder, num_threads=job.num_threads)
            error = None
        except (RequestError, RunFailed, OSError) as failure:
            error = one_line(failure, LONGEST_REASON)
        return Answer(content=pack(folder), error=error, teacher=teacher[0])


def pack_teacher(folder: Path) -> bytes:
    """A teacher without its outputs, which every machine computes again faster than it would receive them."""
    return pack(folder, keep=lambda path: path.parts[0] != OUTPUTS and not path.name.startswith("."))


class _workplace:
    """A temporary folder that is gone afterwards."""

    def __enter__(self) -> Path:
        self._folder = Path(tempfile.mkdtemp(prefix="kdviz-"))
        return self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _config(job: Job, inputs: dict[str, bytes], place: Path) -> RunConfig:
    """The job's settings with the folders that came along in this machine's places."""
    config = RunConfig.from_dict(job.settings)
    for name, content in inputs.items():
        config = replace(config, **{name: str(unpack(content, place / name))})
    return replace(config, source=job.source) if DATA in inputs else config


def _settle_here(folder: Path, config: RunConfig) -> None:
    """Let a run that began elsewhere find its data and its checkpoints on this machine."""
    record = read_json(RunFiles(folder).config)
    here = config.to_dict()
    record |= {name: here[name] for name in ("teacher", "student_checkpoint", DATA)}
    if config.data_dir is not None and record["data"]["source"] == "folder":
        record["data"]["origin"] = str(Path(config.data_dir) / Path(record["data"]["origin"]).name)
    write_json(RunFiles(folder).config, record)
