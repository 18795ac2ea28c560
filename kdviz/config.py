"""What can be asked of a run: one validated object, the same from page, command line and file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, make_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from kdviz.errors import RequestError
from kdviz.method.strategies import INTERNAL, STAGED, STRATEGIES, planned_stages
from kdviz.method.terms import DEFAULT_TERMS, TERMS
from kdviz.tasks import task_named

SOURCES = ("folder", "hub", "sample")
INITS = ("pretrained", "teacher", "random")
MATCHINGS, CUSTOM = ("uniform", "first", "last"), "custom:"
CACHE_MODES = ("auto", "off")
STAGED_SETTINGS = (
    "epochs_per_layer",
    "cosine_threshold",
    "soft_throughout",
    "freeze_finished",
    "classifier_only_last",
)
"""Settings of the strategies that move up layer by layer."""
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16")


LARGEST = 10**12
"""No whole number of a setting is larger: what is counted in such is a slip of the hand."""


def _setting(
    default: object, help: str, *, low: float | None = None, high: float | None = None, choices: tuple = ()
) -> object:
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class _OwnSettings:
    """Every setting of a run but the weights of the registry's terms."""

    task: str = _setting("cola", "GLUE task.")
    source: str = _setting(
        "auto",
        "Where the examples come from; auto takes the first of folder, hub (its cache alone) and sample "
        "that has the task.",
        choices=("auto", *SOURCES),
    )
    data_dir: str | None = _setting(None, "Folder in the GLUE release layout (default: KDVIZ_GLUE_DIR).")
    teacher: str = _setting(
        "minilm-l6", "Teacher checkpoint: a name of the registry, a local folder, or a hub id."
    )
    student_checkpoint: str | None = _setting(
        None, "Checkpoint of the student's initial weights (default: the teacher's own)."
    )
    student_layers: int = _setting(3, "Layers of the student.", low=1, high=48)
    strategy: str = _setting("all", "Distillation strategy.", choices=tuple(STRATEGIES))
    terms: tuple[str, ...] = _setting(
        DEFAULT_TERMS,
        f"Internal terms: {', '.join(f'{term.name} ({term.title})' for term in TERMS.values())}.",
    )
    epochs: int = _setting(4, "Passes over the training examples, all stages together.", low=1, high=1000)
    epochs_per_layer: int | None = _setting(
        None,
        "pid and sid: epochs before the next layer (default: about epochs / (layers + 1)).",
        low=1,
        high=1000,
    )
    cosine_threshold: float | None = _setting(
        None,
        "pid and sid: move up early when the newest layer's mean CLS distance in an epoch is below this.",
        low=0,
        high=2,
    )
    temperature: float = _setting(1.0, "Temperature of the soft labels.", low=0.05, high=100)
    soft_weight: float = _setting(1.0, "Weight of the soft-label loss.", low=0, high=1000)
    hard_weight: float = _setting(
        0.1, "Weight λ of the hard-label loss where it stands beside soft labels.", low=0, high=1000
    )
    soft_throughout: bool = _setting(False, "pid and sid: soft labels in every stage, not only in the last.")
    hard_labels: bool = _setting(False, "Hard labels, times λ, beside the soft ones.")
    freeze_finished: bool = _setting(
        False,
        "pid and sid: freeze layers, and the embeddings, once their loss is dropped (pid: with every move; "
        "sid: in the last stage).",
    )
    classifier_only_last: bool = _setting(
        False, "pid and sid: train only pooler and classifier in the last stage."
    )
    active_pairs: tuple[int, ...] | None = _setting(
        None, "Student layers (0-based) whose pairs are matched (default: all)."
    )
    matching: str = _setting(
        "uniform", "Layer matching: uniform, first, last, or custom:1,3,5 (0-based teacher layers)."
    )
    init: str = _setting("pretrained", "Where the student's initial weights come from.", choices=INITS)
    batch_size: int = _setting(32, "Examples per step.", low=1, high=1024)
    learning_rate: float = _setting(1e-4, "Peak learning rate of AdamW.", low=1e-8, high=1)
    max_length: int = _setting(64, "Longest input in tokens; longer texts are cut.", low=8, high=512)
    train_size: int | None = _setting(
        2000, "Training examples, a seeded, label-stratified subset (none: all).", low=1
    )
    eval_size: int | None = _setting(
        400, "Evaluation examples, a seeded, label-stratified subset (none: all).", low=1
    )
    seed: int = _setting(0, "Seed of everything random in the student's training.", low=0, high=2**31 - 1)
    data_seed: int = _setting(
        0,
        "Seed of the subsets and of the teacher's fine-tuning, so that runs of several seeds share both; "
        "what sample data there are does not depend on it.",
        low=0,
        high=2**31 - 1,
    )
    teacher_epochs: int = _setting(3, "Epochs of the teacher's fine-tuning.", low=0, high=1000)
    teacher_learning_rate: float = _setting(
        1e-4, "Peak learning rate of the teacher's fine-tuning.", low=1e-8, high=1
    )
    warmup_share: float = _setting(0.1, "Share of the steps in which the learning rate rises.", low=0, high=1)
    weight_decay: float = _setting(0.01, "Weight decay of AdamW.", low=0, high=1)
    max_grad_norm: float = _setting(1.0, "Gradients are scaled down to this norm.", low=1e-6)
    snapshots: int = _setting(20, "Moments at which the probes' maps are stored.", low=1, high=500)
    cache: str = _setting(
        "auto", "Teacher outputs: auto (computed once where they fit) or off (live).", choices=CACHE_MODES
    )
    cache_memory_mb: int = _setting(1024, "Teacher outputs kept in memory, in MiB.", low=0)
    cache_disk_mb: int = _setting(4096, "Teacher outputs kept on disk, in MiB.", low=0)
    keep_checkpoints: bool = _setting(
        True, "Keep the student's weights of every epoch (own sentence through training)."
    )
    checkpoints_mb: int = _setting(
        300, "Room for these kept weights in a run's folder, in MiB; epochs are thinned to fit.", low=0
    )
    device_choice: str = _setting("auto", "Device to train on.", choices=DEVICES)
    dtype_choice: str = _setting(
        "auto", "Arithmetic of the model; losses are in float32 always.", choices=DTYPES
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item, getattr(self, item.name)))
        task_named(self.task)
        self._check_terms()
        self._check_stages()
        if not (self.matching in MATCHINGS or self.matching.startswith(CUSTOM)):
            raise RequestError(
                f"matching: expected {', '.join(MATCHINGS)} or {CUSTOM}1,3,5 (0-based teacher layers), got "
                f"{self.matching!r}",
                field="matching",
            )

    def _check_terms(self) -> None:
        unknown = [term for term in self.terms if term not in TERMS]
        if unknown or len(set(self.terms)) != len(self.terms):
            raise RequestError(
                f"terms: expected some of {','.join(TERMS)}, each once, got {','.join(self.terms)!r}",
                field="terms",
            )
        if self.strategy in INTERNAL and not self.terms:
            raise RequestError(
                f"terms: strategy {self.strategy} needs at least one of {', '.join(TERMS)}, got none; "
                "choose soft for soft labels alone",
                field="terms",
            )
        outside = [layer for layer in self.active_pairs or () if not 0 <= layer < self.student_layers]
        if (
            outside
            or self.active_pairs == ()
            or len(set(self.active_pairs or ())) != len(self.active_pairs or ())
        ):
            raise RequestError(
                f"active_pairs: expected different student layers from 0 to {self.student_layers - 1} (the "
                f"lowest is 0), got {short(list(self.active_pairs or ()))}",
                field="active_pairs",
            )

    def _check_stages(self) -> None:
        """Every stage needs an epoch."""
        stages = planned_stages(self)
        missing = sum(max(0, 1 - stage.epochs) for stage in stages)
        if missing:
            names = "; ".join(stage.name for stage in stages)
            raise RequestError(
                f"epochs: {self.strategy} has {len(stages)} stages here ({names}) and needs at least "
                f"{self.epochs + missing}, got {self.epochs}; raise epochs or lower epochs_per_layer",
                field="epochs",
            )

    @property
    def idle_settings(self) -> list[str]:
        """Settings that were given but have no effect with this strategy: a plan names them."""
        return [
            item.name
            for item in fields(self)
            if getattr(self, item.name) != item.default and not has_effect(item.name, vars(self))
        ]

    def to_dict(self) -> dict:
        """Every setting, JSON-ready."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict) -> RunConfig:
        """The settings among `values` (a run's config.json has more); unknown settings are the caller's to
        refuse.
        """
        return cls(**{item.name: values[item.name] for item in fields(cls) if item.name in values})

    @classmethod
    def help(cls, name: str) -> str:
        """One sentence on the setting, with its unit."""
        return cls.__dataclass_fields__[name].metadata["help"]

    @classmethod
    def choices(cls, name: str) -> tuple:
        """The values a setting can take; () where it is open."""
        return cls.__dataclass_fields__[name].metadata["choices"]

    @classmethod
    def default_of(cls, name: str) -> Any:
        """The value of a setting that nobody gave."""
        return cls.__dataclass_fields__[name].default

    @classmethod
    def kind(cls, name: str) -> Kind:
        """The type of a setting."""
        return _kinds()[name]

    @property
    def uses_internal_terms(self) -> bool:
        return self.strategy in INTERNAL

    def steps_per_epoch(self, num_examples: int) -> int:
        """Steps of one pass over so many examples; the last batch may be a smaller one."""
        return -(-num_examples // self.batch_size)

    def weight_of(self, term: str) -> float:
        """The weight of an internal term, of each active pair."""
        return getattr(self, f"{term}_weight")


# A weight for every loss term of the registry: kl_weight, cos_weight, ...
_TermWeights = make_dataclass(
    "_TermWeights",
    [
        (
            f"{term.name}_weight",
            float,
            _setting(
                1.0,
                f"Weight of each active pair's {term.title}: {term.words}",
                low=0,
                high=1000,
            ),
        )
        for term in TERMS.values()
    ],
    frozen=True,
    kw_only=True,
)


@dataclass(frozen=True, kw_only=True)
class RunConfig(_TermWeights, _OwnSettings):
    """Every setting of a run. Each field says its unit; a bad value is a RequestError naming the field."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The type of a setting: `base` is bool, int, float, str or tuple, `items` what a tuple holds."""

    base: type
    items: type | None
    may_be_none: bool

    @property
    def is_number(self) -> bool:
        return self.base in (int, float)

    @property
    def words(self) -> str:
        """What a value has to be, in words."""
        if self.base is tuple:
            return f"a list of {'whole numbers' if self.items is int else 'names'}"
        return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[self.base]


@cache
def _kinds() -> dict[str, Kind]:
    return {name: _kind_of(hint) for name, hint in get_type_hints(RunConfig).items()}


def _kind_of(hint: object) -> Kind:
    several = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    [plain] = [one for one in several if one is not NoneType]
    return Kind(
        base=get_origin(plain) or plain,
        items=get_args(plain)[0] if get_args(plain) else None,
        may_be_none=NoneType in several,
    )


def custom_layers(matching: str) -> list[int]:
    """The teacher layers that "custom:1,3,5" names; ValueError where it names none."""
    return [int(part) for part in matching.removeprefix(CUSTOM).split(",")]


def has_effect(name: str, settings: Mapping) -> bool:
    """Whether the setting `name` changes anything in a run of these settings (by name; strategy, terms and
    hard_labels are looked at).
    """
    strategy, terms = settings["strategy"], settings["terms"] or ()
    term = name.removesuffix("_weight")
    if name in STAGED_SETTINGS:
        return strategy in STAGED
    if name in ("terms", "active_pairs"):
        return strategy in INTERNAL
    if name.endswith("_weight") and term in TERMS:
        return strategy in INTERNAL and term in terms
    if name in ("soft_weight", "temperature", "hard_labels"):
        return STRATEGIES[strategy].uses_teacher
    return name != "hard_weight" or (STRATEGIES[strategy].uses_teacher and bool(settings["hard_labels"]))


def _checked(item: Field, value: object) -> object:
    """`value` in the field's own type, within its bounds."""
    kind = _kinds()[item.name]
    if value is None:
        if kind.may_be_none:
            return None
        raise RequestError(f"{item.name}: expected a value, got none", field=item.name)
    try:
        value = _converted(kind, value)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(
            f"{item.name}: expected {kind.words}, got {short(value)}", field=item.name
        ) from None
    choices, low, high = (item.metadata[key] for key in ("choices", "low", "high"))
    if choices and value not in choices:
        raise RequestError(
            f"{item.name}: expected one of {', '.join(choices)}, got {short(value)}", field=item.name
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        too_low, too_high = low is not None and value < low, high is not None and value > high
        if too_low or too_high or (isinstance(value, float) and not math.isfinite(value)):
            bounds = f"from {low} to {high}" if high is not None and low is not None else f"of at least {low}"
            raise RequestError(
                f"{item.name}: expected a number {bounds}, got {short(value)}", field=item.name
            )
        if isinstance(value, int) and value > LARGEST:
            raise RequestError(
                f"{item.name}: expected a number of at most {LARGEST:,}, got {short(value)}", field=item.name
            )
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError
    if not isinstance(value, int) and int(value) != float(value):
        raise ValueError
    return int(value)


def _item(kind: type, part: object) -> object:
    """A part of a list, in the list's type."""
    if kind is int:
        return _whole(part)
    if not isinstance(part, str):
        raise TypeError
    return part


def _converted(kind: Kind, value: object) -> object:
    if kind.base is bool:
        if not isinstance(value, bool):
            raise TypeError
        return value
    if isinstance(value, bool):
        raise TypeError
    if kind.base is int:
        return _whole(value)
    if kind.base is float:
        return float(value)
    if kind.base is tuple:
        if isinstance(value, str):
            raise TypeError
        return tuple(_item(kind.items, part) for part in value)
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str) or "\x00" in value or len(value) > 4096:
        raise TypeError
    return value


def short(value: object) -> str:
    """A value as a message shows it, cut to 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."
