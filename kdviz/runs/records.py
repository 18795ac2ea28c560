"""What the lines and files of a run folder may hold: the types, and the check that makes it so.

A file of a run is foreign until it was checked here. Whoever reads a record behind that finds every named key
of the type written down, or, where it is not required, no such key at all. Other keys are passed on as they
are: newer versions may add them, and nothing here reads them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import NewType, NotRequired, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from kdviz.method.strategies import STRATEGIES
from kdviz.method.terms import TERMS
from kdviz.tasks import TASKS

LARGEST_WHOLE = 2**53
LONGEST_TEXT = 100_000
MOST_LAYERS = 1000
MOST_STAGES, MOST_LABELS, MOST_PROBES = 200, 200, 50
"""Far more than any run has; a page that has to draw thousands of them stands still."""

Number = float | None
"""A number that was not finite is None."""

Name = NewType("Name", str)
"""A name of the contract or like it: of a task, a metric, a kind. It needs no escape anywhere."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,39}")


class Malformed(ValueError):
    """What was expected and what came."""


class Mismatch(TypedDict):
    """Of every matched pair: nats, nats by head, 1 − cosine."""

    attention_kl: list[Number]
    cls_distance: list[Number]
    attention_kl_heads: NotRequired[list[list[Number]]]


class EvalLine(TypedDict):
    step: int
    epoch: int
    metrics: dict[Name, Number]
    mismatch: Mismatch
    agreement: Number
    logit_kl: Number
    n: NotRequired[int]  # and these two: see `complete`
    intervals: NotRequired[dict[Name, list[Number]]]
    teacher_metrics: NotRequired[dict[Name, Number]]
    cka: NotRequired[list[list[Number]]]
    seconds: NotRequired[Number]


class ProbeAnswer(TypedDict):
    student_logits: list[Number]
    attention_kl: list[Number]
    cls_distance: list[Number]


class ProbeLine(TypedDict):
    step: int
    epoch: float
    mismatch: Mismatch
    probes: NotRequired[dict[str, ProbeAnswer]]


class ShortStage(TypedDict):
    layers: list[int]
    classification: Name


class TrainLine(TypedDict):
    step: int
    epoch: float
    stage: ShortStage
    loss: Number
    losses: dict[Name, Number | dict[Name, Number]]
    learning_rate: NotRequired[Number]
    seconds: NotRequired[Number]
    steps: NotRequired[int]


class Stage(TypedDict):
    layers: list[int]
    classification: Name
    name: NotRequired[str]
    epochs: NotRequired[Number]


class StageLine(TypedDict):
    step: int
    epoch: float
    stage: Stage
    index: NotRequired[int]


class TeacherLine(TypedDict):
    step: int
    epoch: NotRequired[Number]
    loss: Number


class TeacherScoreLine(TypedDict):
    metrics: dict[Name, Number]
    intervals: NotRequired[dict[Name, list[Number]]]
    n: NotRequired[int]
    accuracy: NotRequired[Number]
    majority: NotRequired[Number]
    warning: NotRequired[str]


LINES = {
    "eval": EvalLine,
    "probe": ProbeLine,
    "train": TrainLine,
    "stage": StageLine,
    "teacher": TeacherLine,
    "teacher_score": TeacherScoreLine,
}


class Status(TypedDict):
    state: NotRequired[str]
    phase: NotRequired[str]
    phase_progress: NotRequired[Number]
    step: NotRequired[int]
    total_steps: NotRequired[int]
    epoch: NotRequired[Number]
    stage: NotRequired[int]
    error: NotRequired[str]
    waiting: NotRequired[str]
    teacher_outputs: NotRequired[str]
    seconds_left: NotRequired[Number]
    steps_per_second: NotRequired[Number]
    created: NotRequired[str]
    started: NotRequired[str]
    finished: NotRequired[str]
    updated: NotRequired[str]


class Summary(TypedDict):
    cost: NotRequired[dict[Name, Number]]
    seconds: NotRequired[dict[Name, Number]]
    epoch: NotRequired[int]
    best_epoch: NotRequired[int]
    best_metrics: NotRequired[dict[Name, Number]]
    primary_metric: NotRequired[Name]
    metrics: NotRequired[dict[Name, Number]]
    teacher_metrics: NotRequired[dict[Name, Number]]
    intervals: NotRequired[dict[Name, list[Number]]]
    agreement: NotRequired[Number]
    logit_kl: NotRequired[Number]
    n: NotRequired[int]
    mismatch: NotRequired[Mismatch]


class ProbeRow(TypedDict):
    id: Name
    title: str
    text_a: str
    label: int
    tokens: list[str]
    teacher_logits: list[float]
    text_b: NotRequired[str]
    reason: NotRequired[str]
    look_for: NotRequired[str]
    special: NotRequired[list[int]]


class Data(TypedDict):
    source: NotRequired[str]
    origin: NotRequired[str]
    fingerprint: NotRequired[str]
    note: NotRequired[str]
    seed: NotRequired[int]
    num_train: NotRequired[int]
    num_eval: NotRequired[int]
    train_total: NotRequired[int]
    eval_total: NotRequired[int]
    eval_rows: NotRequired[int]
    skipped: NotRequired[dict[Name, dict[str, int]]]
    warnings: NotRequired[list[str]]


class Config(TypedDict):
    task: Name
    strategy: Name
    seed: int
    pairs: list[list[int]]
    student_layers: int
    teacher_num_layers: int
    num_heads: int
    created: NotRequired[str]
    data: NotRequired[Data]
    planned: NotRequired[dict[str, object]]
    labels: NotRequired[list[str]]
    stages: NotRequired[list[Stage]]
    versions: NotRequired[dict[str, str]]
    teacher: NotRequired[str]
    teacher_fingerprint: NotRequired[str]
    source: NotRequired[str]
    data_dir: NotRequired[str]
    matching: NotRequired[str]
    init: NotRequired[str]
    device: NotRequired[str]
    dtype: NotRequired[str]
    dtype_reason: NotRequired[str]
    owner: NotRequired[str]
    epochs: NotRequired[int]
    batch_size: NotRequired[int]
    max_length: NotRequired[int]


def checked(kind: type, value: object, dropped: list[str] | None = None) -> dict:
    """`value` as a record of `kind`. Malformed where a required part is missing or of another type.

    A part that is not required and of another type is left out, and named with its reason in `dropped`; where
    no such list is given it is Malformed too. None stands for a part that is not there.
    """
    if not isinstance(value, Mapping):
        raise Malformed(f"an object was expected, got {_kind_of(value)}")
    found = dict(value)
    for name, (hint, is_required) in _fields(kind).items():
        if not is_required and found.get(name) is None:
            if hint not in (str, int, Number):
                found.pop(name, None)
            continue
        if name not in found:
            raise Malformed(f"{name} is missing")
        try:
            found[name] = _as(hint, found[name], dropped)
        except Malformed as error:
            problem = f"{name}: {error}"
            if is_required or dropped is None:
                raise Malformed(problem) from None
            del found[name]
            dropped.append(problem)
    return found


@cache
def _fields(kind: type) -> dict[str, tuple[object, bool]]:
    """(type, whether it is required) of the keys of a TypedDict."""
    return {name: (hint, name in kind.__required_keys__) for name, hint in get_type_hints(kind).items()}


def _as(hint: object, value: object, dropped: list[str] | None) -> object:
    """`value` where it is of the type that `hint` says; a float that is not finite becomes None where None is
    allowed.
    """
    if hint is object:
        return value
    if is_typeddict(hint):
        return checked(hint, value, dropped)
    origin = get_origin(hint)
    if origin is UnionType:
        return _one_of(get_args(hint), value, dropped)
    if origin is list:
        return _list(get_args(hint)[0], value, dropped)
    if origin is dict:
        if not isinstance(value, dict):
            raise Malformed(f"an object was expected, got {_kind_of(value)}")
        name_hint, item_hint = get_args(hint)
        return {_as(name_hint, name, dropped): _as(item_hint, item, dropped) for name, item in value.items()}
    if hint is int and type(value) is int and abs(value) <= LARGEST_WHOLE:
        return value
    if hint is float and type(value) in (int, float) and abs(value) <= 1e300:  # not for NaN either
        return float(value)
    if hint is str and isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return value
    if hint is Name and isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise Malformed(f"{_WORDS[hint]} was expected, got {_kind_of(value)}")


def _one_of(hints: tuple, value: object, dropped: list[str] | None) -> object:
    if NoneType in hints and (value is None or (type(value) is float and not math.isfinite(value))):
        return None
    hints = tuple(hint for hint in hints if hint is not NoneType)
    if len(hints) > 1 and isinstance(value, dict):
        hints = tuple(hint for hint in hints if get_origin(hint) is dict)
    return _as(hints[0], value, dropped)


def _list(hint: object, value: object, dropped: list[str] | None) -> list:
    if not isinstance(value, list):
        raise Malformed(f"a list was expected, got {_kind_of(value)}")
    if hint == Number and set(map(type, value)) == {float} and math.isfinite(sum(map(abs, value))):
        return value  # the common case, without a call for each number
    return [_as(hint, item, dropped) for item in value]


_WORDS = {int: "a whole number", float: "a number", str: "a text", Name: "a name"}


def _kind_of(value: object) -> str:
    if isinstance(value, (bool, NoneType)):
        return {None: "null", True: "true", False: "false"}[value]
    return {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}.get(
        type(value), type(value).__name__
    )


def check_sizes(kind: str, line: dict, config: dict) -> None:
    """Malformed where the lists of a checked line of that kind are not as long as the run has pairs, heads
    and teacher layers.
    """
    num_pairs, step, epoch = len(config["pairs"]), line.get("step", 0), line.get("epoch") or 0
    if kind != "teacher_score" and (step < 0 or epoch < 0):
        raise Malformed(f"a step and an epoch from 0 were expected, got {step} and {epoch}")
    if kind in ("eval", "probe"):
        _check_mismatch(line["mismatch"], config)
    if kind == "probe":
        for answer in line.get("probes", {}).values():
            _check_mismatch(answer, config)
            check_classes(answer["student_logits"], config)
    table = line.get("cka") if kind == "eval" else None
    if table is not None:
        shape = (num_pairs, config["teacher_num_layers"])
        if len(table) != shape[0] or any(len(row) != shape[1] for row in table):
            raise Malformed(f"cka: a table of {shape[0]} × {shape[1]} was expected")
    intervals = line.get("intervals", {}) if kind in ("eval", "teacher_score") else {}
    if any(len(ends) != 2 for ends in intervals.values()):
        raise Malformed("intervals: two ends each were expected")
    if kind in ("train", "stage"):
        layers = line["stage"]["layers"]
        if any(not 0 <= layer < num_pairs for layer in layers):
            raise Malformed(f"stage: {_layers(num_pairs)} were expected, got {str(layers)[:40]}")
    terms = line["losses"].values() if kind == "train" else ()
    numbers = [name for term in terms if isinstance(term, dict) for name in term]
    if any(not (name.isascii() and name.isdigit() and int(name) < num_pairs) for name in numbers):
        raise Malformed(f"losses: {_layers(num_pairs)} were expected, got {str(numbers)[:40]}")


def complete(kind: str, line: dict, config: dict) -> None:
    """Write into a checked line what a version that did not record it stands for. Malformed where that cannot
    be told.
    """
    if kind != "eval":
        return
    task = TASKS.get(config["task"])
    if task and task.primary_metric not in line["metrics"]:
        raise Malformed(f"metrics: {task.primary_metric} was expected among them")
    line.setdefault("intervals", {})
    line.setdefault("teacher_metrics", {})
    if line.setdefault("n", config.get("data", {}).get("num_eval")) is None:
        raise Malformed("n is missing")


def check_classes(logits: Sequence[Number], config: dict) -> None:
    """Malformed where there is not one number for each class of the run."""
    num_classes = len(config.get("labels") or ()) or len(logits)
    if not logits or len(logits) != num_classes:
        raise Malformed(f"logits of {num_classes} classes were expected, got {len(logits)}")


def _check_mismatch(mismatch: dict, config: dict) -> None:
    further = [term.key for term in TERMS.values() if not term.is_default]
    for name in further:
        if mismatch.get(name) is not None:
            mismatch[name] = _as(list[Number], mismatch[name], None)
    for name in ("attention_kl", "cls_distance", "attention_kl_heads", *further):
        values = mismatch.get(name)
        if values is not None and len(values) != len(config["pairs"]):
            raise Malformed(f"{name}: {len(config['pairs'])} matched pairs were expected, got {len(values)}")
    if any(len(row) != config["num_heads"] for row in mismatch.get("attention_kl_heads") or ()):
        raise Malformed(f"attention_kl_heads: {config['num_heads']} heads were expected")


def check_config(value: object) -> dict:
    """config.json of a run; Malformed with the reason where it cannot be one."""
    config = checked(Config, value)
    if config["strategy"] not in STRATEGIES:
        raise Malformed(f"strategy: one of {', '.join(STRATEGIES)} was expected, got {config['strategy']}")
    for name in ("student_layers", "teacher_num_layers", "num_heads"):
        if not 1 <= config[name] <= MOST_LAYERS:
            raise Malformed(f"{name}: 1 to {MOST_LAYERS} was expected, got {config[name]}")
    pairs, students = config["pairs"], set()
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise Malformed("pairs: at least one (student layer, teacher layer) was expected")
    for student, teacher in pairs:
        if not (0 <= student < config["student_layers"] and 0 <= teacher < config["teacher_num_layers"]):
            raise Malformed(
                f"pairs: student layers from 0 to {config['student_layers'] - 1} and teacher "
                f"{_layers(config['teacher_num_layers'])} were expected, got {student} and {teacher}"
            )
        students.add(student)
    if len(students) != len(pairs):
        raise Malformed("pairs: each student layer once was expected")
    fingerprint = config.get("teacher_fingerprint") or ""
    if not (len(fingerprint) <= 128 and all(letter in "0123456789abcdef" for letter in fingerprint)):
        raise Malformed("teacher_fingerprint: hexadecimal digits were expected")
    for name, most in (("stages", MOST_STAGES), ("labels", MOST_LABELS)):
        if len(config.get(name) or ()) > most:
            raise Malformed(f"{name}: at most {most} were expected, got {len(config[name]):,}")
    for stage in config.get("stages") or ():
        if any(not 0 <= layer < len(pairs) for layer in stage["layers"]):
            raise Malformed(f"stages: {_layers(len(pairs))} were expected, got {str(stage['layers'])[:40]}")
    return config


def _layers(num_layers: int) -> str:
    """The layers that a file may name, in words: there they begin at 0, on every page at 1."""
    return f"layers from 0 to {num_layers - 1} (the lowest is 0)"
