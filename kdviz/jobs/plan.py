"""What a run will do, before it does: its stages, its steps, what to be warned of, and how long it takes."""

from dataclasses import dataclass

from kdviz.config import RunConfig
from kdviz.jobs.limits import footprint
from kdviz.jobs.speed import estimated_seconds
from kdviz.method.stages import Stage
from kdviz.text import counted
from kdviz.training.measured_teachers import Forecast, forecast
from kdviz.training.request import Request


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`pairs` are (student layer, teacher layer), 0-based; `seconds` is an estimate for the distillation
    (None where not measured); `teacher`: what such a teacher was measured to be, where it was.
    """

    stages: tuple[Stage, ...]
    pairs: tuple[tuple[int, int], ...]
    num_train: int
    num_eval: int
    steps_per_epoch: int
    total_steps: int
    warnings: tuple[str, ...]
    teacher: Forecast | None
    memory_bytes: int
    disk_bytes: int
    seconds: float | None = None
    teacher_seconds: float | None = None

    def to_dict(self) -> dict:
        """JSON-ready."""
        return {
            "stages": [stage.to_dict() for stage in self.stages],
            "pairs": [list(pair) for pair in self.pairs],
            "num_train": self.num_train,
            "num_eval": self.num_eval,
            "steps_per_epoch": self.steps_per_epoch,
            "total_steps": self.total_steps,
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "seconds": self.seconds,
            "teacher_seconds": self.teacher_seconds,
            "warnings": list(self.warnings),
            "teacher_is_too_weak": None if self.teacher is None else self.teacher.is_too_weak,
            "teacher_measured": None if self.teacher is None else self.teacher.words,
        }


def plan(request: Request, *, num_threads: int | None = None, with_seconds: bool = True) -> Plan:
    """The plan of a request; `with_seconds` also an estimate of time, from a measurement of a fraction of a
    second on this machine, taken once (that imports torch).
    """
    seconds = teacher_seconds = None
    if with_seconds:
        seconds, teacher_seconds = estimated_seconds(request, num_threads)
    most = footprint(request)
    return Plan(
        stages=request.stages,
        pairs=request.pairs,
        num_train=len(request.train),
        num_eval=len(request.evaluation),
        steps_per_epoch=request.steps_per_epoch,
        total_steps=request.total_steps,
        warnings=(*request.warnings, *_warnings(request.config, request.stages)),
        teacher=forecast(request.config, source=request.data.source, num_train=len(request.train)),
        memory_bytes=most.memory_bytes,
        disk_bytes=most.disk_bytes,
        seconds=seconds,
        teacher_seconds=teacher_seconds,
    )


def _warnings(config: RunConfig, stages: tuple[Stage, ...]) -> list[str]:
    found = []
    share = stages[-1].epochs / config.epochs
    if len(stages) > 1 and share < 0.2:
        found.append(
            f"Classification gets {stages[-1].epochs} of {counted(config.epochs, 'epoch')} ({share:.0%}), "
            "less than a fifth: the student may not learn the task. Give more epochs, or fewer for each "
            "layer."
        )
    found += [f"{name} has no effect with strategy {config.strategy}." for name in config.idle_settings]
    return found
