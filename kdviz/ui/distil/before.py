"""Before a run starts: what it will do stage by stage, how long that takes, on which data; and the button
that starts it.
"""

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import streamlit as st

from kdviz.config import RunConfig
from kdviz.errors import RequestError, kind_and_line
from kdviz.figures.diagram import matching_diagram, stage_film
from kdviz.jobs.lazy_imports import import_heavy, is_imported
from kdviz.jobs.limits import Limits
from kdviz.jobs.plan import Plan, plan
from kdviz.jobs.queue import shared
from kdviz.jobs.speed import speed_is_known
from kdviz.machine import cores_beside_pages
from kdviz.method.strategies import STRATEGIES
from kdviz.models.hub import NotHere
from kdviz.palette import named
from kdviz.paths import runs_folder
from kdviz.progress import duration_words
from kdviz.text import counted, plain_reason
from kdviz.training.measured_teachers import Forecast
from kdviz.training.request import Request, resolve_request
from kdviz.ui.distil.board import board, forget_board, watch
from kdviz.ui.distil.bring import bring_box
from kdviz.ui.distil.form import Asked, is_in_sight, put, read_controls, say_refused
from kdviz.ui.frame import identity, state
from kdviz.ui.frame.look import chart, is_dark, plain
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.turns import fragment, turns
from kdviz.ui.frame.wish import carry_out, fulfilled, wish
from kdviz.ui.frame.words import WORDS

PREVIEW_SECONDS = 60
IMPATIENT_SECONDS = 3.0
_REFUSED, _LAST_START = "distil.refused", "distil.last_start"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a run would be: its request, its plan, and whether its teacher is kept from an earlier run (None
    until torch is there to say in which arithmetic this machine trains).
    """

    request: Request
    plan: Plan
    has_teacher: bool | None

    @property
    def seconds(self) -> float | None:
        if self.plan.seconds is None:
            return None
        return self.plan.seconds + (0.0 if self.has_teacher else self.plan.teacher_seconds)


@dataclass(frozen=True, kw_only=True)
class Wanted(Asked):
    """What the controls ask for; `seen`: what that would be, where nothing is wrong with it."""

    seen: Preview | None = None


def asked() -> Wanted:
    """The controls' settings with whatever is wrong with them: in themselves, with the data, or with the
    teacher.
    """
    read = read_controls()
    if read.config is None:
        return Wanted(config=None, error=read.error)
    try:
        return Wanted(config=read.config, error=None, seen=preview_of(read.config))
    except RequestError as error:
        return Wanted(config=read.config, error=error)


def preview_of(config: RunConfig) -> Preview:
    """The plan and the data of a run. RequestError where it cannot be done.

    Nothing is downloaded. While transformers is still being imported, the tokenizer is not looked at yet.
    """
    with turns.aside():
        request = _request(json.dumps(config.to_dict(), sort_keys=True), is_imported())
    idle, num_threads = shared(runs_folder()).current is None, cores_beside_pages()
    is_known = speed_is_known(request, measure=idle, num_threads=num_threads)
    Limits.from_environment().check_run(request, runs_folder())
    return Preview(
        request=request,
        plan=plan(request, num_threads=num_threads, with_seconds=is_known),
        has_teacher=request.kept_teacher(runs_folder()) is not None if is_imported() else None,
    )


@st.cache_resource(ttl=PREVIEW_SECONDS, max_entries=64, show_spinner="Looking at data and teacher")
def _request(config_json: str, thorough: bool) -> Request:
    return resolve_request(RunConfig.from_dict(json.loads(config_json)), thorough=thorough, network=False)


def start_box(wanted: Wanted) -> None:
    """The button, and why it cannot be pressed where it cannot."""
    refusal = identity.permissions().refusal("start", identity.visitor())
    place = board().next_place
    label = f"Add to the queue, place {place}" if place else "Start"
    st.button(
        label,
        type="primary",
        icon=":material/play_arrow:",
        key="distil.start",
        width="stretch",
        disabled=bool(refusal) or wanted.config is None,
        on_click=_wish,
        args=((),),
    )
    st.button(
        "Compare all strategies",
        icon=":material/stacked_line_chart:",
        key="distil.compare",
        width="stretch",
        disabled=bool(refusal) or wanted.config is None,
        help=f"Trains {', '.join(map(named, STRATEGIES))} on the same teacher in one pass, a run each. Their "
        "curves grow side by side, and end in the comparison.",
        on_click=_wish,
        args=(tuple(STRATEGIES),),
    )
    carry_out()
    if refusal:
        st.caption(f":material/lock: {refusal}")
    if wanted.seen is not None:
        _say_teacher(wanted.seen.plan.teacher)
    if isinstance(wanted.error, NotHere):
        bring_box(wanted.error)
    elif wanted.error is not None and not is_in_sight(wanted.error):
        say_refused(wanted.error)
    refused = st.session_state.pop(_REFUSED, None)  # of what was pressed, several strategies perhaps
    if refused is not None and str(refused) != str(wanted.error):
        say_refused(refused)


def _say_teacher(known: Forecast | None) -> None:
    """Whether the teacher will be worth copying, where that was measured, before anybody waits for it."""
    if known is None:
        return
    st.caption(f":material/{'thumb_down' if known.is_too_weak else 'school'}: {plain(known.words)}")


def _wish(strategies: tuple[str, ...]) -> None:
    config = read_controls(of_all_strategies=bool(strategies)).config
    if config is not None:
        wish("distil", partial(_start, config, strategies))


def _start(config: RunConfig, strategies: tuple[str, ...]) -> None:
    """Everything that could be wrong is asked here, on the server, before a folder is made. `strategies`:
    several that are trained together.
    """
    visitor, queue = identity.visitor(), shared(runs_folder())
    last = st.session_state.setdefault(_LAST_START, {})
    again = last.get("start") == (config, strategies) and time.monotonic() - last["at"] < IMPATIENT_SECONDS
    if again and (queue.training or queue.waiting):
        # The second click of an impatient hand. Other settings are another run, however soon they come, and
        # so are the same ones once the first has ended.
        st.toast("This run was started a moment ago: one is enough.", icon=":material/check:")
        return
    try:
        identity.permissions().require("start", visitor)
        with st.spinner("Checking data and teacher"):
            with turns.aside():
                import_heavy()
            seen = preview_of(config)
            limits = Limits.from_environment()
            limits.check_run(seen.request, runs_folder(), num_students=len(strategies) or 1)
            limits.check_waiting(len(queue.waiting), len(strategies) or 1)
            extra = {
                "owner": visitor.owner,
                "planned": {"seconds": seen.plan.seconds, "teacher_seconds": seen.plan.teacher_seconds},
            }
            if not fulfilled():
                return
            last |= {"start": (config, strategies), "at": time.monotonic()}
            waits = bool(queue.training or queue.waiting)
            if strategies:
                run_id = queue.submit_together(seen.request, strategies, extra=extra)[0]
            else:
                run_id = queue.submit(seen.request, extra=extra)
    except RequestError as error:
        _refuse(error)
    except OSError as error:
        reason = (
            f"the run's folder cannot be written: {kind_and_line(error)}; free some space or set "
            "KDVIZ_RUNS_DIR"
        )
        _refuse(RequestError(reason))
    forget_board()
    if not waits:  # of a run that waits there is nothing to see yet, and of the one going on there is
        watch(run_id)
        state.change(run=run_id, step=None)
    st.rerun()


def _refuse(error: RequestError) -> NoReturn:
    st.session_state[_REFUSED] = error
    st.session_state.pop(_LAST_START, None)
    fulfilled()
    st.rerun()


def preview(wanted: Wanted) -> None:
    """What Start would do, in words and in a picture. Looks again by itself until this machine's speed is
    known.
    """
    seen = wanted.seen
    if wanted.config is None or seen is None:
        st.caption("What the run will do stands here once its settings fit together.")
        return
    waits = seen.seconds is None and shared(runs_folder()).current is None
    fragment(_estimate, run_every=1.0 if waits else None)(wanted.config, [seen])
    _offer_as_it_is(seen.request)
    _picture(wanted.config, seen)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if seen.request.data.source == "sample":
            st.badge("sample data, not GLUE", color="orange")
        what, _, why = seen.request.data.note.partition(" (not used")
        st.markdown(
            f"{seen.plan.num_train:,} training and {counted(seen.plan.num_eval, 'evaluation example')}, out "
            f"of {plain(what)}.",
            width="content",
            help=plain(f"Other sources were not used{why.removesuffix(')')}") if why else None,
        )
    for warning in seen.plan.warnings:
        st.warning(plain_reason(warning), icon=":material/warning:")


def _offer_as_it_is(request: Request) -> None:
    """A checkpoint that says it answers this task needs no fine-tuning: one button sets that."""
    if request.already_answers:
        st.info(plain(f"{request.already_answers}."), icon=":material/school:")
        st.button("Use it without fine-tuning", key="distil.as_it_is", on_click=_no_fine_tuning)


def _no_fine_tuning() -> None:
    put("teacher_epochs", 0)


def _estimate(config: RunConfig, just_seen: list[Preview]) -> None:
    seen = just_seen.pop() if just_seen else preview_of(config)
    steps = f"{counted(seen.plan.total_steps, 'step')} in {counted(config.epochs, 'epoch')}"
    if config.teacher_epochs == 0:
        teacher = "its teacher is used as it is"
    elif seen.has_teacher is None:
        teacher = f"a teacher fine-tuned for {counted(config.teacher_epochs, 'epoch')}"
    elif seen.has_teacher:
        teacher = "its teacher is ready, kept from an earlier run"
    else:
        teacher = f"first the teacher is fine-tuned for {counted(config.teacher_epochs, 'epoch')}" + (
            f", about {duration_words(seen.plan.teacher_seconds)}" if seen.seconds is not None else ""
        )
    about = (
        f"**About {duration_words(seen.seconds)}** on this machine"
        if seen.seconds is not None
        else "**Measuring how long** this takes on this machine …"
    )
    st.markdown(f"{about}: {steps}; {teacher}.")


def _picture(config: RunConfig, seen: Preview) -> None:
    """Matched layers, and the stages one after the other."""
    stages = [stage.to_dict() for stage in seen.plan.stages]
    if len(stages) > 1:
        figure = remembered(
            stage_film,
            seen.request.checkpoint.num_layers,
            config.student_layers,
            seen.plan.pairs,
            stages,
            strategy=config.strategy,
            dark=is_dark(),
        )
    else:
        stage = stages[0]
        figure = remembered(
            matching_diagram,
            seen.request.checkpoint.num_layers,
            config.student_layers,
            seen.plan.pairs,
            active=stage["layers"],
            classification=stage["classification"],
            strategy=config.strategy,
            dark=is_dark(),
        )
    chart(
        figure,
        "distil.stages",
        "Which layers of the student learn from which layers of the teacher, stage by stage",
    )
    words = [
        f"{place}. {stage['name']} ({counted(stage['epochs'], 'epoch')})"
        for place, stage in enumerate(stages, start=1)
    ]
    st.markdown(
        "Stages: " + "; ".join(words) + "." if len(words) > 1 else f"One stage: {stages[0]['name']}.",
        help=WORDS["stages"],
    )
