"""How large a run may be on a server, and what it can take at most: memory and disk as a whole.

Settings come from the environment, read once per decision:

KDVIZ_MAX_STEPS, KDVIZ_MAX_EXAMPLES, KDVIZ_MAX_LAYERS, KDVIZ_MAX_SNAPSHOTS, KDVIZ_MAX_CHECKPOINT_BYTES,
KDVIZ_MAX_MEMORY_BYTES (default: nine tenths of what this process may use), KDVIZ_MAX_DISK_BYTES,
KDVIZ_MAX_WAITING             the most one run, and the queue, may ask for.
KDVIZ_MAX_DOWNLOAD_BYTES      the largest model that is fetched from the hub.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.files import GIBIBYTE, MEBIBYTE, free_bytes
from kdviz.machine import cores_allowed, memory_allowed
from kdviz.method.targets import Needs, training_needs
from kdviz.models.checkpoint import Checkpoint
from kdviz.models.hub import MOST_DOWNLOAD_BYTES
from kdviz.runs.epoch_weights import checkpoint_bytes
from kdviz.training.request import Request

log = logging.getLogger(__name__)

PROGRAM_BYTES = 700 * MEBIBYTE
"""Python, torch and transformers."""
EXAMPLE_BYTES = 1000
"""A sentence pair as an object, and its tokens."""
NUM_PRESETS, PRESET_TOKENS = 12, 40
"""At most: a task's presets, and a preset's tokens."""
_UNKNOWN_MEMORY = 16 * GIBIBYTE


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a run can take at most, in bytes by purpose: estimates from above, at the longest input asked for.

    Real texts are mostly shorter, and a run takes less. `disk` is of the runs folder, with the teacher that
    several runs share.
    """

    memory: Mapping[str, int]
    disk: Mapping[str, int]

    @property
    def memory_bytes(self) -> int:
        return sum(self.memory.values())

    @property
    def disk_bytes(self) -> int:
        return sum(self.disk.values())


def footprint(request: Request, *, num_students: int = 1) -> Footprint:
    """The most memory and disk that a run can take, or several students of one teacher trained together."""
    config, checkpoint = request.config, request.checkpoint
    student, teacher = 4 * request.student_parameters, 4 * request.teacher_parameters
    tuned = config.teacher_epochs > 0
    num_examples = len(request.data.train) + sum(map(len, request.data.dev.values()))
    memory_budget, disk_budget = config.cache_memory_mb * MEBIBYTE, config.cache_disk_mb * MEBIBYTE
    together = replace(config, strategy="all") if num_students > 1 else config
    outputs = [_outputs_bytes(request, len(request.train), training_needs(together, request.pairs))]
    outputs += [
        _outputs_bytes(request, len(examples), request.evaluation_needs)
        for examples in request.evaluations.values()
    ]
    if config.cache == "off":
        outputs = []
    map_bytes = 4 * config.student_layers * checkpoint.num_heads * min(config.max_length, PRESET_TOKENS) ** 2
    evaluated = sum(map(len, request.evaluations.values()))
    return Footprint(
        memory={
            "program": PROGRAM_BYTES,
            "examples": EXAMPLE_BYTES * num_examples,
            # Weights, gradients and the two moments of AdamW; the teacher's first, then the student's beside
            # the finished teacher.
            "weights": max(4 * teacher * tuned, teacher + 4 * student * num_students),
            "step": _step_bytes(request, min(num_students, cores_allowed())),
            "outputs": min(memory_budget, sum(outputs)),
        },
        disk={
            "checkpoints": num_students * checkpoint_bytes(request.student_parameters, config),
            "teacher": teacher * (1 + 6 * tuned),
            "outputs": min(disk_budget, sum(outputs)),
            "snapshots": num_students * map_bytes * NUM_PRESETS * (config.snapshots + 2),
            "evaluations": num_students * 4 * evaluated * (config.epochs + 1) * (2 * len(request.pairs) + 8),
        },
    )


def _step_bytes(request: Request, num_at_once: int) -> int:
    """What one training step keeps until its gradients are there: vectors (some 26 hidden widths a token) and
    maps (scores, log-probabilities, probabilities, dropout, and the teacher's) of every layer.
    """
    config = request.config
    tokens = config.batch_size * config.max_length

    def layer_bytes(checkpoint: Checkpoint) -> int:
        return 4 * tokens * (26 * checkpoint.hidden_size + 5 * checkpoint.num_heads * config.max_length)

    student = (
        num_at_once * config.student_layers * layer_bytes(request.student_checkpoint or request.checkpoint)
    )
    tuned = request.checkpoint.num_layers * layer_bytes(request.checkpoint) * (config.teacher_epochs > 0)
    return max(student, tuned)


def _outputs_bytes(request: Request, num_examples: int, needs: Needs) -> int:
    """What is kept of the teacher's outputs on a set, every text as long as it may be."""
    cells = num_examples * request.checkpoint.num_heads * request.config.max_length**2
    return 4 * needs.num_values(num_examples, num_cells=cells, width=request.checkpoint.hidden_size)


def _most_memory() -> int:
    allowed = memory_allowed()
    return allowed * 9 // 10 if allowed else _UNKNOWN_MEMORY


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most one run may ask for, the most runs that may wait at once, and the largest download."""

    steps: int = 20_000
    examples: int = 400_000
    layers: int = 24
    snapshots: int = 100
    checkpoint_bytes: int = 8_000_000_000
    memory_bytes: int = field(default_factory=_most_memory)
    disk_bytes: int = 50 * GIBIBYTE
    waiting: int = 12
    download_bytes: int = MOST_DOWNLOAD_BYTES

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Limits":
        """KDVIZ_MAX_<NAME> for each; a value that is no positive whole number is ignored with a line in the
        log.
        """
        found, usual = {}, cls()
        for item in fields(cls):
            name = f"KDVIZ_MAX_{item.name.upper()}"
            value = environment.get(name, "").strip()
            if not value:
                continue
            if value.isascii() and value.isdigit() and len(value) <= 15 and int(value) > 0:
                found[item.name] = int(value)
            else:
                log.warning(
                    "%s: expected a whole number above 0, got %r; using %d",
                    name,
                    value[:40],
                    getattr(usual, item.name),
                )
        return cls(**found)

    def check_run(self, request: Request, runs_dir: Path | None = None, *, num_students: int = 1) -> None:
        """RequestError naming the setting to lower where a run (or `num_students` trained together) asks for
        more than this server allows, or may need more than is free on the disk of `runs_dir`.
        """
        config = request.config
        _check(len(request.train) + len(request.evaluation), self.examples, "examples", "train_size",
               "choose fewer training examples")  # fmt: skip
        _check(config.student_layers, self.layers, "student layers", "student_layers", "choose fewer layers")
        _check(request.total_steps, self.steps, "steps", "epochs", "choose fewer epochs or examples")
        _check(config.snapshots, self.snapshots, "recorded moments", "snapshots", "choose fewer")
        kept = checkpoint_bytes(request.student_parameters, config)
        _check(kept, self.checkpoint_bytes, "bytes of checkpoints", "epochs",
               "choose fewer epochs or layers, or keep no weights of earlier epochs")  # fmt: skip
        self._check_budgets(config)
        needed = footprint(request, num_students=num_students)
        _check_bytes(needed.memory, self.memory_bytes, "memory", _MEMORY_ADVICE, config)
        _check_bytes(needed.disk, self.disk_bytes, "disk", _DISK_ADVICE, config)
        if runs_dir is not None:
            # The teacher's outputs are kept only as far as there is room.
            own = {name: size for name, size in needed.disk.items() if name != "outputs"}
            _check_bytes(own, free_bytes(runs_dir), "disk", _DISK_ADVICE, config, has="has free")

    def _check_budgets(self, config: RunConfig) -> None:
        """A budget beyond the whole server is refused even where this run would not fill it."""
        for name, most in (
            ("cache_memory_mb", self.memory_bytes),
            ("cache_disk_mb", self.disk_bytes),
            ("checkpoints_mb", self.disk_bytes),
        ):
            usual, asked = RunConfig.__dataclass_fields__[name].default, getattr(config, name)
            if asked > max(usual, most // MEBIBYTE):
                raise RequestError(
                    f"{name}: this server allows {most // MEBIBYTE:,} MiB, got {asked:,}; choose less",
                    field=name,
                )

    def check_waiting(self, waiting: int, more: int = 1) -> None:
        """RequestError where `more` runs beside those `waiting` are more than may wait."""
        advice = "wait until some have ended" if more <= self.waiting else "start fewer at a time"
        _check(waiting + more, self.waiting, "waiting runs", None, advice)


_MEMORY_ADVICE = {
    "step": ("batch_size", "choose a smaller batch_size ({batch_size}) or max_length ({max_length})"),
    "outputs": ("cache_memory_mb", "choose a smaller cache_memory_mb ({cache_memory_mb})"),
    "examples": ("train_size", "choose a smaller task"),
    "weights": ("teacher", "choose a smaller teacher"),
    "program": ("teacher", "choose a smaller batch_size or teacher"),
}
_DISK_ADVICE = {
    "checkpoints": ("checkpoints_mb", "choose fewer layers or a smaller checkpoints_mb ({checkpoints_mb})"),
    "teacher": ("teacher", "choose a smaller teacher"),
    "outputs": ("cache_disk_mb", "choose a smaller cache_disk_mb ({cache_disk_mb})"),
    "snapshots": ("snapshots", "choose fewer snapshots ({snapshots})"),
    "evaluations": ("epochs", "choose fewer epochs ({epochs}) or evaluation examples"),
}


def _check(asked: int, most: int, what: str, field: str | None, advice: str) -> None:
    if asked > most:
        raise RequestError(
            f"this server allows {most:,} {what}, this would be {asked:,}; {advice}", field=field
        )


def _check_bytes(
    parts: Mapping[str, int],
    most: float,
    what: str,
    advice: Mapping,
    config: RunConfig,
    *,
    has: str = "allows",
) -> None:
    """RequestError with both numbers, and the setting behind the largest part."""
    if sum(parts.values()) <= most:
        return
    setting, words = advice[max(parts, key=parts.__getitem__)]
    raise RequestError(
        f"this run could take {in_words(sum(parts.values()))} of {what}, this server {has} {in_words(most)}; "
        + words.format_map(config.to_dict()),
        field=setting,
    )


def in_words(size: float) -> str:
    """Bytes as people say them: 1.3 GiB, 350 MiB."""
    if size >= 100 * GIBIBYTE:
        return f"{size / GIBIBYTE:,.0f} GiB"
    return f"{size / GIBIBYTE:.1f} GiB" if size >= GIBIBYTE else f"{size / MEBIBYTE:.0f} MiB"
