"""The settings of a run as controls: six in sight, every other one under *More*, each with its own
message.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from kdviz.config import CUSTOM, MATCHINGS, STAGED_SETTINGS, RunConfig, has_effect
from kdviz.data import available
from kdviz.data.hub import NotInCache
from kdviz.errors import RequestError
from kdviz.method.strategies import STRATEGIES
from kdviz.method.terms import TERMS
from kdviz.models.registry import TEACHERS, readiness
from kdviz.palette import words_of
from kdviz.tasks import TASKS
from kdviz.training.measured_teachers import recommended_task
from kdviz.ui.distil.bring import bring_box
from kdviz.ui.distil.words import HELP, SOURCE_NAMES, choice_name
from kdviz.ui.frame.controls import starting_with
from kdviz.ui.frame.labels import LABELS, in_labels, said
from kdviz.ui.frame.look import plain

ROWS_IN_SIGHT = (("task",), ("source",), ("strategy",), ("student_layers", "epochs", "train_size"))
TERM_WEIGHTS = tuple(f"{name}_weight" for name in TERMS)
MORE = {
    "Losses": (
        "terms",
        "active_pairs",
        *TERM_WEIGHTS,
        "soft_weight",
        "temperature",
        "hard_labels",
        "hard_weight",
    ),
    "Stages": STAGED_SETTINGS,
    "Student": ("matching", "init", "student_checkpoint", "seed"),
    "Teacher and data": (
        "teacher",
        "teacher_epochs",
        "teacher_learning_rate",
        "data_dir",
        "eval_size",
        "max_length",
        "data_seed",
    ),
    "Training": (
        "learning_rate",
        "batch_size",
        "warmup_share",
        "weight_decay",
        "max_grad_norm",
        "device_choice",
        "dtype_choice",
    ),
    "Recording": (
        "snapshots",
        "keep_checkpoints",
        "checkpoints_mb",
        "cache",
        "cache_memory_mb",
        "cache_disk_mb",
    ),
}
CUSTOM_LAYERS = "custom_layers"
PATHS = ("data_dir", "teacher", "student_checkpoint")
LAYER_CHOICES = {
    "active_pairs": (LABELS["active_pairs"], "student"),
    CUSTOM_LAYERS: ("Teacher layers to match", "teacher"),
}
"""Choices of layers: what they are called, and whose layers they are."""
MORE_KEY = "distil.more"
"""Whether the further settings are open."""
_FIELDS = RunConfig.__dataclass_fields__
DEEPEST_UNKNOWN_TEACHER = 48


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the controls say: a valid `config`, or the `error` that names the setting at fault."""

    config: RunConfig | None
    error: RequestError | None


def read_controls(*, of_all_strategies: bool = False) -> Asked:
    """Read the controls (before they are drawn, so that a message can stand beside its control): those that
    the chosen strategy has a use for, or those of all.
    """
    for name in LAYER_CHOICES:
        _keep_to_depth(name)
    try:
        return Asked(config=RunConfig(**_values(of_all_strategies)), error=None)
    except RequestError as error:
        return Asked(config=None, error=error)


def controls_in_sight(error: RequestError | None) -> None:
    """The six settings that matter most."""
    for row in ROWS_IN_SIGHT:
        columns = st.columns(len(row), gap="medium", vertical_alignment="bottom")
        for column, name in zip(columns, row, strict=True):
            with column:
                _control(name)
        if error is not None and error.field in row:
            say_refused(error)  # as wide as the form: a column of three is too narrow to read in
            if isinstance(error, NotInCache):
                bring_box(error)
        if row == ("strategy",):
            strategy = STRATEGIES[_value("strategy")]
            st.caption(f"`{strategy.name}`: {strategy.words}")
        if "student_layers" in row:
            _say_out_of_reach()


def is_in_sight(error: RequestError) -> bool:
    """Whether the setting at fault stands above Start, with the message under it."""
    return any(error.field in row for row in ROWS_IN_SIGHT)


def say_refused(error: RequestError) -> None:
    """What is wrong with a setting. Where things lie on the server is for who wrote a path here alone."""
    has_path = error.field in PATHS and os.sep in str(_value(error.field))
    text = str(error)
    st.error(plain(in_labels(text)) if has_path else said(text), icon=":material/error:")


def more_controls(error: RequestError | None) -> None:
    """Every other setting, by subject; a setting this file does not know yet goes to the last tab. They are
    half of the page, so they are drawn once somebody opens them, or where one of them is at fault.
    """
    if error is not None and not is_in_sight(error):
        st.session_state[MORE_KEY] = True
    more = st.expander("More settings", icon=":material/tune:", key=MORE_KEY, on_change="rerun")
    if not more.open:
        return
    with more:
        placed = {name for names in MORE.values() for name in names} | {
            name for row in ROWS_IN_SIGHT for name in row
        }
        groups = list(MORE.items())
        groups[-1] = (groups[-1][0], groups[-1][1] + tuple(name for name in _FIELDS if name not in placed))
        for tab, (_, names) in zip(st.tabs([title for title, _ in groups]), groups, strict=True):
            with tab:
                columns = st.columns(3, gap="medium")
                for place, name in enumerate(names):
                    with columns[place % 3]:
                        _control(name)
                        if error is not None and error.field == name:
                            say_refused(error)


def key_of(name: str) -> str:
    """The session's key of a setting's control."""
    times = st.session_state.get(_TIMES_SET.format(name), 0)
    return f"distil.{name}.{times}" if times else f"distil.{name}"


def put(name: str, value: object) -> None:
    """Let the control of a setting say `value`. It becomes another control: a request of the browser that was
    under way still tells what the old one said, and would undo this.
    """
    times = _TIMES_SET.format(name)
    st.session_state[times] = st.session_state.get(times, 0) + 1
    st.session_state[key_of(name)] = value


_TIMES_SET = "distil.times_set.{}"


def _value(name: str) -> object:
    """What the control of a setting says now; its default before it is first drawn."""
    key = key_of(name)
    value = st.session_state[key] if key in st.session_state else _default(name)
    return list(value) if isinstance(value, tuple) else value


def _default(name: str) -> Any:
    """What a control says before anybody has touched it: the setting's own default, but the task. With a GLUE
    folder that is one whose teacher was measured to be worth copying within the other defaults.
    """
    if name == "active_pairs" or name not in _FIELDS:
        return ()
    default = RunConfig.default_of(name)
    if name != "task":
        return default
    real = [task for task in TASKS if "folder" in available(task)]
    size, epochs = RunConfig.default_of("train_size"), RunConfig.default_of("teacher_epochs")
    return recommended_task(real, train_size=size, epochs=epochs) or default


def _values(of_all_strategies: bool) -> dict:
    """The settings as `RunConfig` takes them: what the chosen strategy does not have is left at its default,
    not lost.
    """
    values = {name: _value(name) for name in _FIELDS}
    values["student_layers"] = _student_depth()
    values["active_pairs"] = values["active_pairs"] or None
    values |= {name: (values[name] or "").strip() or None for name in ("data_dir", "student_checkpoint")}
    if values["matching"] == "custom":
        layers = sorted(_value(CUSTOM_LAYERS))
        if len(layers) != values["student_layers"]:
            raise RequestError(
                f"{LAYER_CHOICES[CUSTOM_LAYERS][0]}: expected {values['student_layers']}, one for each "
                f"student layer, got {len(layers)}; choose as many",
                field="matching",
            )
        values["matching"] = CUSTOM + ",".join(map(str, layers))
    if not of_all_strategies:
        values |= {name: item.default for name, item in _FIELDS.items() if not has_effect(name, values)}
    return values


def _teacher_depth() -> int:
    teacher = TEACHERS.get(str(_value("teacher")))
    return teacher.num_layers if teacher else DEEPEST_UNKNOWN_TEACHER


def _student_depth() -> int:
    return min(_value("student_layers"), _teacher_depth())


def _depth(name: str) -> int:
    """How many layers a choice of layers is among."""
    return _teacher_depth() if name == CUSTOM_LAYERS else _student_depth()


def _keep_to_depth(name: str) -> None:
    """Take layers that a model no longer has out of a choice; they come back with a deeper one, as long as
    nobody chooses anew.
    """
    now, away = _value(name), st.session_state.get(_OUT_OF_REACH.format(name), [])
    chosen = sorted({*now, *away})
    within = [layer for layer in chosen if layer < _depth(name)]
    if set(within) != set(now):
        st.session_state[key_of(name)] = within
    st.session_state[_OUT_OF_REACH.format(name)] = [layer for layer in chosen if layer not in within]


def chosen_anew(name: str) -> None:
    """A choice of layers is what its control says now, whatever was chosen before."""
    st.session_state.pop(_OUT_OF_REACH.format(name), None)


def _say_out_of_reach() -> None:
    """Which chosen layers do not count, as the model has fewer by now."""
    for name, (label, model) in LAYER_CHOICES.items():
        away = st.session_state.get(_OUT_OF_REACH.format(name))
        is_used = _value("matching") == "custom" if name == CUSTOM_LAYERS else not _is_idle(name)
        if not away or not is_used:
            continue
        layers = ", ".join(str(layer + 1) for layer in away)
        then = "" if _value(name) or name == CUSTOM_LAYERS else ", so all its layers are matched"
        st.caption(
            f":material/info: {label}: layer{'s' * (len(away) > 1)} {layers} "
            f"{'were' if len(away) > 1 else 'was'} chosen, and the {model} has {_depth(name)}{then}."
        )


_OUT_OF_REACH = "distil.out_of_reach.{}"


def _is_idle(name: str) -> bool:
    """Whether the chosen strategy has no use for a setting."""
    return not has_effect(name, {key: _value(key) for key in ("strategy", "terms", "hard_labels")})


def _control(name: str) -> None:
    """The control of one setting."""
    common = {
        "key": key_of(name),
        "help": HELP.get(name) or RunConfig.help(name),
        "persist_state": "session",
        "disabled": _is_idle(name),
    }
    label, draw = LABELS.get(name, name.replace("_", " ").capitalize()), _SPECIAL.get(name, _plain_control)
    draw(name, label, common)


def _plain_control(name: str, label: str, common: dict) -> None:
    item, kind = _FIELDS[name], RunConfig.kind(name)
    if kind.base is bool:
        st.toggle(label, value=bool(_value(name)), **common)
    elif kind.base is tuple:
        st.text(f"{label}: set in a run's file only")
    elif item.metadata["choices"]:
        _choice(name, label, list(item.metadata["choices"]), common, lambda each: choice_name(name, each))
    elif kind.base in (int, float):
        _number(item, label, common, whole=kind.base is int)
    else:
        st.text_input(label, value=_value(name) or "", max_chars=1000, **common)


def _choice(name: str, label: str, choices: list, common: dict, named: Callable, **more: Any) -> None:
    shown = starting_with(st.selectbox, _value(name), choices)
    st.selectbox(label, choices, format_func=named, **shown, **more, **common)


def _number(item, label: str, common: dict, *, whole: bool) -> None:
    kind = int if whole else float
    low, high = (
        None if item.metadata[edge] is None else kind(item.metadata[edge]) for edge in ("low", "high")
    )
    default, now = item.default, _value(item.name)
    step = (50 if default and default >= 200 else 1) if whole else (default / 10 if default else 0.01)
    optional = (
        {"placeholder": "all" if item.name.endswith("_size") else "automatic"}
        if RunConfig.kind(item.name).may_be_none
        else {}
    )
    st.number_input(
        label,
        min_value=low,
        max_value=high,
        value=now if now is None else kind(now),
        step=step,
        format=None if whole else "%g",
        **optional,
        **common,
    )


def _task(name: str, label: str, common: dict) -> None:
    def named(task: str) -> str:
        return f"{TASKS[task].title}: {TASKS[task].question}"

    _choice(name, label, list(TASKS), common, named)


def _source(name: str, label: str, common: dict) -> None:
    _choice(name, label, list(SOURCE_NAMES), common, SOURCE_NAMES.__getitem__)


def _strategy(name: str, label: str, common: dict) -> None:
    st.segmented_control(
        label, list(STRATEGIES), default=_value(name), required=True, format_func=words_of, **common
    )


def _student_layers(name: str, label: str, common: dict) -> None:
    deepest = _teacher_depth()  # another teacher makes it another control: the value is handed on
    st.number_input(label, 1, deepest, value=min(_value(name), deepest), step=1, **common)


def _teacher(name: str, label: str, common: dict) -> None:
    def named(teacher: str) -> str:
        known = TEACHERS.get(teacher)
        return f"{known.title} ({known.num_layers} layers)" if known else teacher

    own = [] if _value(name) in TEACHERS else [_value(name)]
    _choice(name, label, [*TEACHERS, *own], common, named, accept_new_options=True)
    known = TEACHERS.get(str(_value(name)))
    if known and known.note:
        st.caption(f"{known.note} {readiness(known.name)}")


def _terms(name: str, label: str, common: dict) -> None:
    st.multiselect(
        label, list(TERMS), default=_value(name), format_func=lambda term: choice_name(name, term), **common
    )


def _layers(name: str, label: str, common: dict) -> None:
    _choose_layers(label, name, placeholder="all layers", **common)


def _matching(name: str, label: str, common: dict) -> None:
    _choice(name, label, [*MATCHINGS, "custom"], common, lambda each: choice_name(name, each))
    if _value("matching") == "custom":
        _choose_layers(
            LAYER_CHOICES[CUSTOM_LAYERS][0],
            CUSTOM_LAYERS,
            key=key_of(CUSTOM_LAYERS),
            persist_state="session",
            placeholder="one for each student layer",
            help="One for each student layer; the lowest goes with student layer 1.",
        )


def _choose_layers(label: str, name: str, **options: object) -> None:
    """Some of a model's layers, 0-based inside and 1-based on screen."""
    st.multiselect(
        label,
        list(range(_depth(name))),
        default=_value(name),
        format_func=lambda layer: f"layer {layer + 1}",
        on_change=chosen_anew,
        args=(name,),
        **options,
    )


_SPECIAL = {
    "task": _task,
    "source": _source,
    "strategy": _strategy,
    "student_layers": _student_layers,
    "teacher": _teacher,
    "terms": _terms,
    "active_pairs": _layers,
    "matching": _matching,
}
