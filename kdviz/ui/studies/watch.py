"""Starting a study from the page, and watching it go: in the same queue as runs, one run at a time."""

from collections.abc import Callable

import streamlit as st

from kdviz.errors import RequestError
from kdviz.files import size_words
from kdviz.jobs.queue import shared
from kdviz.paths import runs_folder
from kdviz.progress import duration_words
from kdviz.studies.check import Forecast
from kdviz.studies.folder import StudyFolder
from kdviz.studies.progress import all_finished
from kdviz.studies.queued import CHECKING, ENDED, READY, STOPPING, QueuedStudy, known_study, queued_study
from kdviz.studies.rows import Table
from kdviz.studies.spec import Study
from kdviz.text import code, counted, plain_reason
from kdviz.ui.frame import identity
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.store import store
from kdviz.ui.frame.turns import fragment

WATCH_SECONDS, ELSEWHERE_SECONDS = 1.0, 3.0
_REFUSAL = "studies.refusal"


def start_or_watch(study: Study, table: Table | None) -> None:
    """What it would take and its Start, or how far it is and its Stop. Redraws itself while it goes."""
    with st.container():  # one element more above the fragment would give it another name in mid-click
        if refusal := st.session_state.pop(_REFUSAL, None):
            st.warning(plain_reason(refusal), icon=":material/block:")
    going = known_study(runs_folder(), study.id)
    if table is not None and table.num_runs == table.num_cells and not (going and going.is_active):
        st.caption(f":material/check: {all_finished(table.num_cells).capitalize()}.")
        return
    moves = going is not None and (going.is_active or going.phase == CHECKING)
    pace = WATCH_SECONDS if moves else ELSEWHERE_SECONDS if _goes_on_elsewhere(study, going) else None
    fragment(_panel, run_every=pace)(study, _signature(study, going))


def _goes_on_elsewhere(study: Study, going: QueuedStudy | None) -> bool:
    """Whether another process carries the study out."""
    is_ours = going is not None and going.phase != ENDED
    return not is_ours and StudyFolder(runs_folder(), study.id).is_busy


def _signature(study: Study, going: QueuedStudy | None) -> tuple:
    """What of it changes the page around the panel."""
    if _goes_on_elsewhere(study, going):
        own = [run for run in store().runs() if run.config.get("study") == study.id]
        return "elsewhere", sum(run.state in ("finished", "failed") for run in own)
    if going is None:
        return ()
    return going.phase, going.progress.num_done if going.progress else 0


def _panel(study: Study, drawn: tuple) -> None:
    going = known_study(runs_folder(), study.id)
    with st.container(border=True):
        if going is None or going.phase == ENDED:
            _ended(study, going)
        elif going.phase == CHECKING:
            st.markdown(
                ":material/hourglass_empty: **Checking every run**: its data, its teacher, how long it takes."
            )
        elif going.phase == READY:
            _ready(going)
        else:
            _going(going)
    if _signature(study, going) != drawn:
        st.rerun()  # not before its controls are drawn: a click on one that came meanwhile would be dropped


def _ended(study: Study, going: QueuedStudy | None) -> None:
    folder = StudyFolder(runs_folder(), study.id)
    if going is not None and going.error:
        st.error(plain_reason(going.error), icon=":material/error:")
    for run_id, reason in folder.failed.items():
        st.caption(f":material/error: {plain(run_id)} is left out: {plain_reason(reason[:300])}")
    if folder.is_busy:
        where = "a Ray cluster" if folder.state.get("where") == "ray" else "another process"
        st.markdown(f":material/sync: It is being carried out by {where}; the table follows.")
        return
    refusal = identity.permissions().refusal("start", identity.visitor())
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            "See what it takes",
            key="studies.check",
            icon=":material/timer:",
            disabled=bool(refusal),
            on_click=_checked(study),
            help="Checks every run and says how long all take and how much disk. Examples that are on the "
            "Hub alone are fetched for it. Nothing is trained yet.",
        )
        if refusal:
            st.caption(f":material/lock: {refusal}")
        else:
            command = f"python -m kdviz study {study.stem}{f' --size {study.size}' if study.size else ''}"
            st.caption(
                f"{counted(len(study.cells), 'run')}, one after the other, in the same queue as single runs. "
                f"Also: {code(command)}"
            )


def _checked(study: Study) -> Callable[[], None]:
    def check() -> None:
        try:
            identity.permissions().require("start", identity.visitor())
            queued_study(study, shared(runs_folder()), anew=True)
        except RequestError as error:
            st.session_state[_REFUSAL] = str(error)

    return check


def _ready(going: QueuedStudy) -> None:
    forecast = going.forecast
    if not forecast.open:
        st.markdown(f":material/check: {all_finished(len(forecast.cells)).capitalize()}.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        refusal = identity.permissions().refusal("start", identity.visitor())
        st.button(
            "Start" if len(forecast.open) == len(forecast.cells) else "Continue",
            key="studies.start",
            type="primary",
            icon=":material/play_arrow:",
            disabled=bool(refusal),
            help=refusal,
            on_click=_started(going),
        )
        st.markdown(_forecast_words(forecast))


def _forecast_words(forecast: Forecast) -> str:
    teachers = len(forecast.teachers)
    first = f", after fine-tuning {counted(teachers, 'teacher')}" if teachers else ""
    return (
        f"**About {duration_words(forecast.seconds)}** on this machine: {len(forecast.open)} of "
        f"{len(forecast.cells)} runs{first}; {size_words(forecast.disk_bytes)} of disk."
    )


def _started(going: QueuedStudy) -> Callable[[], None]:
    def start() -> None:
        visitor = identity.visitor()
        try:
            identity.permissions().require("start", visitor)
            going.start({"owner": visitor.owner})
        except RequestError as error:
            st.session_state[_REFUSAL] = str(error)

    return start


def _going(going: QueuedStudy) -> None:
    progress, visitor = going.progress, identity.visitor()
    left = duration_words(progress.seconds_left)
    st.progress(
        progress.num_done / max(1, progress.num_all),
        text=f"**{progress.num_done} of {progress.num_all} runs done**, about {left} left",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if going.phase == STOPPING:
            st.markdown("Stopping: the run in progress ends at its next step.")
        elif not identity.permissions().refusal("stop", visitor, going.extra):
            st.button("Stop", key="studies.stop", icon=":material/stop:", on_click=going.stop)
        if going.current:
            st.caption(f"Now: {plain(going.current)}. *Distil* shows it live.")
