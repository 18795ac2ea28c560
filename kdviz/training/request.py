"""A run's request, resolved once: whatever is known of a run before it trains.

Preview, creation, plan, study and limits all read this object; none of them looks for a checkpoint, data or a
kept teacher by itself, so what is promised before Start is what is done after it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from kdviz.config import RunConfig
from kdviz.data import folder_of_run, load_examples, subset
from kdviz.data.doubtful_words import doubts
from kdviz.data.examples import Example, fingerprint
from kdviz.data.sources import Loaded
from kdviz.data.tokenizer_reading import settings_to_read_as_is
from kdviz.errors import RequestError
from kdviz.method.stages import Stage
from kdviz.method.strategies import planned_stages
from kdviz.method.targets import Needs, evaluation_needs, training_needs
from kdviz.method.terms import measured_terms
from kdviz.method.weights import idle_weights
from kdviz.models.check import check_models, check_pair
from kdviz.models.checkpoint import Checkpoint
from kdviz.models.hub import Downloads
from kdviz.models.matching import match_layers
from kdviz.models.weights_files import SAFETENSORS
from kdviz.paths import user_path
from kdviz.runs.layout import teacher_of
from kdviz.task import Task
from kdviz.tasks import TASKS
from kdviz.training import settled
from kdviz.training.teacher_fingerprint import hashes_beside_weights, teacher_fingerprint


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """Where and in which numbers a model runs ("cpu", "bfloat16"), each with its reason."""

    device: str
    device_reason: str
    dtype: str
    dtype_reason: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is asked to do, and with what.

    `config` names its folders absolutely, so that it means the same from another working directory.
    `label_rows`: see `kdviz.models.check.Models`.
    `student_checkpoint` is None where the student starts from the teacher's. `pairs` are (student layer,
    teacher layer), 0-based. `train` and `evaluations` (by name, the main set first) are the subsets that the
    run uses. `recorded` is the config.json of a run that exists already: what was settled then holds.
    `warnings`: see `kdviz.data.doubtful_words`.
    """

    config: RunConfig
    task: Task
    checkpoint: Checkpoint
    label_rows: tuple[int, ...] | None
    student_checkpoint: Checkpoint | None
    pairs: tuple[tuple[int, int], ...]
    stages: tuple[Stage, ...]
    data: Loaded
    train: tuple[Example, ...]
    evaluations: dict[str, tuple[Example, ...]]
    recorded: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def evaluation(self) -> tuple[Example, ...]:
        """The examples that the run's scores are of."""
        return next(iter(self.evaluations.values()))

    @property
    def already_answers(self) -> str | None:
        """Says so where a teacher that is to be fine-tuned names the task's classes as its own."""
        if self.label_rows is None or self.config.teacher_epochs == 0:
            return None
        names = ", ".join(self.checkpoint.label_names or ())
        return f"{self.checkpoint.name} already answers {self.task.title} (its classes are {names})"

    @property
    def steps_per_epoch(self) -> int:
        return self.config.steps_per_epoch(len(self.train))

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.epochs

    @property
    def teacher_parameters(self) -> int:
        """Parameters of the teacher with embeddings and pooler, from its shape."""
        return _parameters(self.checkpoint, self.checkpoint.num_layers)

    @property
    def student_parameters(self) -> int:
        """Parameters of the student with embeddings and pooler, from the shape of its checkpoint."""
        return _parameters(self.student_checkpoint or self.checkpoint, self.config.student_layers)

    @property
    def training_needs(self) -> Needs:
        """What all stages together want of the teacher on the training set."""
        return training_needs(self.config, self.pairs)

    @property
    def evaluation_needs(self) -> Needs:
        """What an evaluation wants of the teacher."""
        asked = self.config.terms if self.config.uses_internal_terms else ()
        layers = [layer for _, layer in self.pairs]
        return evaluation_needs(layers, range(self.checkpoint.num_layers), measured_terms(asked))

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """Chosen when first asked for: that imports torch, and may try out this machine for a moment."""
        from kdviz.training.device import choose_device, choose_dtype

        device, device_reason = choose_device(self.config.device_choice)
        names = [item.name for item in fields(Arithmetic)]
        if all(map(self.recorded.get, names)):
            then = Arithmetic(**{name: str(self.recorded[name]) for name in names})
            if then.device == device.type:
                return then
            # The numbers are those that were chosen then: the teacher is kept by them.
            reason = f"{device_reason}; when the run was made it was {then.device}"
            return replace(then, device=device.type, device_reason=reason)
        dtype, dtype_reason = choose_dtype(self.config.dtype_choice, device)
        return Arithmetic(
            device=device.type,
            device_reason=device_reason,
            dtype=str(dtype).removeprefix("torch."),
            dtype_reason=dtype_reason,
        )

    @cached_property
    def teacher_fingerprint(self) -> str:
        """The name of the fine-tuned teacher under teachers/. Asks for `arithmetic`."""
        is_measured = self.config.teacher_epochs == 0 and self.label_rows is None
        return self.recorded.get("teacher_fingerprint") or teacher_fingerprint(
            self.config,
            self.checkpoint,
            fingerprint(self.train),
            dtype=self.arithmetic.dtype,
            measured_on=fingerprint(self.evaluation) if is_measured else None,
        )

    def with_strategy(self, strategy: str) -> Request:
        """The same request for another strategy: same teacher, data, order and arithmetic. RequestError where
        that compares what the models' shapes do not let it, or learns nothing.
        """
        config = replace(self.config, strategy=strategy)
        _check_learns(config)
        check_pair(config, self.checkpoint, self.student_checkpoint)
        known = {**vars(self.arithmetic), "teacher_fingerprint": self.teacher_fingerprint}
        return replace(
            self, config=config, stages=tuple(planned_stages(config)), recorded={**self.recorded, **known}
        )

    def kept_teacher(self, runs_dir: Path) -> Path | None:
        """The folder of this run's fine-tuned teacher, where an earlier run has left it; else None."""
        folder = teacher_of(Path(runs_dir), self.teacher_fingerprint)
        return folder if (folder / SAFETENSORS).exists() else None

    def record(self) -> dict[str, Any]:
        """What config.json keeps of the request."""
        record = {
            **self.config.to_dict(),
            "data": {
                **self.data.record(),
                "num_train": len(self.train),
                "num_eval": len(self.evaluation),
            },
            "labels": list(self.task.labels),
            "metrics": list(self.task.metrics),
            "teacher_fingerprint": self.teacher_fingerprint,
            **_sums("teacher", self.checkpoint),
            **(_sums("student", self.student_checkpoint) if self.student_checkpoint else {}),
            "tokenizer_read_as_is": settings_to_read_as_is(self.checkpoint.folder),
            "teacher_num_layers": self.checkpoint.num_layers,
            "num_heads": self.checkpoint.num_heads,
            "hidden_size": self.checkpoint.hidden_size,
            "pairs": [list(pair) for pair in self.pairs],
            "stages": [stage.to_dict() for stage in self.stages],
            **vars(self.arithmetic),
        }
        return {**record, settled.KEY: settled.settled_sha256(record)}


def resolve_request(
    config: RunConfig, *, downloads: Downloads | None = None, thorough: bool = True, network: bool = True
) -> Request:
    """Find everything a run needs and check that it fits together. RequestError naming the setting where it
    does not.

    Nothing is written, and no model fetched but with `downloads`, the leave to do so (then it goes to the
    hub's cache), nor the hub's examples with `network` False. `thorough`: see `check_models`; a request that
    a run is made of is.
    """
    if config.init == "teacher" and config.student_checkpoint:
        raise RequestError(
            "student_checkpoint: expected none where the student starts from the teacher (init: teacher), "
            f"got {str(config.student_checkpoint)[:80]!r}; leave it out, or choose another init",
            field="student_checkpoint",
        )
    _check_learns(config)
    return _resolve(config, downloads=downloads, thorough=thorough, network=network)


def _check_learns(config: RunConfig) -> None:
    """RequestError where a stage's loss is 0 whatever the student answers: it would learn nothing."""
    if idle := idle_weights(config):
        stage, weight = idle
        raise RequestError(
            f"{weight}: expected more than 0 where nothing else counts in the loss (stage: {stage}), got 0; "
            "raise it, or choose another strategy",
            field=weight,
        )


def _resolve(
    config: RunConfig,
    *,
    downloads: Downloads | None = None,
    thorough: bool = True,
    network: bool = True,
    sample_seed: int = 0,
) -> Request:
    models = check_models(config, downloads=downloads, thorough=thorough)
    checkpoint, student = models.teacher, models.student
    pairs = match_layers(config.matching, config.student_layers, checkpoint.num_layers)
    if student:
        match_layers("uniform", config.student_layers, student.num_layers)
    data = load_examples(config.task, config.source, config.data_dir, seed=sample_seed, network=network)
    train = subset(data.train, config.train_size, seed=config.data_seed)
    return Request(
        config=replace(
            config,
            data_dir=config.data_dir and str(user_path(config.data_dir, field="data_dir")),
            teacher=checkpoint.name,
            student_checkpoint=student.name if student else None,
        ),
        task=TASKS[config.task],
        checkpoint=checkpoint,
        label_rows=models.label_rows,
        student_checkpoint=student,
        pairs=pairs,
        stages=tuple(planned_stages(config)),
        data=data,
        train=train,
        evaluations={
            name: subset(examples, config.eval_size, seed=config.data_seed)
            for name, examples in data.dev.items()
        },
        warnings=doubts(checkpoint.folder, train) if thorough else (),
    )


def recorded_request(record: Mapping[str, Any]) -> Request:
    """The request of an existing run, from its config.json. RequestError where weights or data are no longer
    those it was made for.
    """
    try:
        data, _ = record["data"], record["teacher_weights_sha256"]
        source, origin, then = (str(data[name]) for name in ("source", "origin", "fingerprint"))
        seed = int(data.get("seed", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"this run's config.json cannot be used ({error}); start a new run") from None
    config = replace(RunConfig.from_dict(dict(record)), source=source, data_dir=None)
    if source == "folder":
        # Where the examples were found when the run was made: KDVIZ_GLUE_DIR may be another one today.
        config = replace(config, data_dir=folder_of_run(config.task, record) or os.path.dirname(origin))
    request = _resolve_as_then(config, origin, seed)
    now = request.data.fingerprint
    _check_unchanged("teacher", "teacher", request.checkpoint, record)
    if request.student_checkpoint:
        _check_unchanged("student_checkpoint", "student", request.student_checkpoint, record)
    if settings_to_read_as_is(request.checkpoint.folder) != record.get("tokenizer_read_as_is"):
        raise RequestError(
            f"teacher: the tokenizer in {request.checkpoint.folder} is read otherwise than when this run was "
            "made (lower case, accents or splitting); start a new run",
            field="teacher",
        )
    if now != then:
        raise RequestError(
            f"data_dir: the examples changed since this run began (content {then} then, {now} now); start a "
            "new run",
            field="data_dir",
        )
    _check_plan(request, record)
    return replace(request, recorded=record)


def _resolve_as_then(config: RunConfig, origin: str, sample_seed: int) -> Request:
    """The request of a run that took its examples from `origin`. RequestError where these, or a folder of its
    checkpoints, are elsewhere now: it may have come from another machine.
    """
    try:
        return _resolve(config, sample_seed=sample_seed)
    except RequestError as error:
        if error.field in ("teacher", "student_checkpoint"):
            then = str(getattr(config, error.field))
            if os.path.isabs(then) and not os.path.isdir(then):
                raise RequestError(
                    f"{error.field}: the checkpoint of this run was in {then}, and is not there; write the "
                    f"folder that holds it now as {error.field} into the run's config.json",
                    field=error.field,
                ) from None
        if error.field != "data_dir" or os.path.isdir(origin):
            raise
        raise RequestError(
            f"data_dir: the examples of this run were in {origin}, and are not there; set KDVIZ_GLUE_DIR to "
            "the folder that holds them now, or write it as data_dir into the run's config.json",
            field="data_dir",
        ) from None


def _check_plan(request: Request, record: Mapping[str, Any]) -> None:
    """RequestError where the settings lead to other pairs or stages than were recorded: what is then trained
    could not be read as what the record says. A stage's name, and what only one of both tells, is no matter.
    """
    plans = [(record.get("pairs"), [list(pair) for pair in request.pairs])]
    then, now = record.get("stages"), [stage.to_dict() for stage in request.stages]
    if isinstance(then, list) and len(then) == len(now) and all(isinstance(stage, dict) for stage in then):
        both = [(one.keys() & other.keys()) - {"name"} for one, other in zip(then, now, strict=True)]
        then, now = (
            [{key: stage[key] for key in keys} for keys, stage in zip(both, stages, strict=True)]
            for stages in (then, now)
        )
    for recorded, planned in (*plans, (then, now)):
        if recorded is not None and recorded != planned:
            raise RequestError(
                "the layers and stages in this run's config.json are not those of its settings; put back "
                "what was there, or start a new run"
            )


def _sums(whose: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """What config.json keeps of a checkpoint's content: the sum of the weights, and of each file beside."""
    return {
        f"{whose}_weights_sha256": checkpoint.weights_sha256,
        f"{whose}_files_sha256": hashes_beside_weights(checkpoint),
    }


def _check_unchanged(field: str, whose: str, checkpoint: Checkpoint, record: Mapping[str, Any]) -> None:
    """RequestError where the weights of a checkpoint, or a file that says what they mean (config, tokenizer),
    are other ones than `record` has; a run of an older version does not say.
    """
    now = _sums(whose, checkpoint)
    weights, files = (record.get(name, now[name]) for name in now)
    if weights != checkpoint.weights_sha256:
        raise RequestError(
            f"{field}: the weights in {checkpoint.folder} changed since this run was made; start a new run",
            field=field,
        )
    beside = now[f"{whose}_files_sha256"]
    if not isinstance(files, dict) or files == beside:
        return
    names = sorted(name for name in files.keys() | beside.keys() if files.get(name) != beside.get(name))
    raise RequestError(
        f"{field}: {', '.join(map(str, names))[:120]} in {checkpoint.folder} changed since this run was "
        "made; put back what was there, or start a new run",
        field=field,
    )


def _parameters(checkpoint: Checkpoint, num_layers: int) -> int:
    width = checkpoint.hidden_size
    embeddings = (checkpoint.vocab_size + checkpoint.max_positions + 4) * width
    return embeddings + (12 * num_layers + 1) * width * (width + 1)
