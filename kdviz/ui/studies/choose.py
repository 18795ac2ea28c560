"""Which study is looked at: those of this server, results kept with kdviz, shipped ones to be started."""

from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from kdviz.errors import RequestError
from kdviz.paths import runs_folder
from kdviz.studies.folder import Unusable, open_study, started_studies
from kdviz.studies.queued import known_study
from kdviz.studies.results import Stored, stored_results
from kdviz.studies.rows import Table
from kdviz.studies.spec import SIZES, Study, shipped_studies
from kdviz.studies.table import make_table, with_inside
from kdviz.text import code, plain, plain_reason
from kdviz.ui.frame.store import store

SIZE_WORDS = {
    "minutes": "a first answer in minutes",
    "hours": "a night on a laptop",
    "paper": "as in the paper, on GPUs",
    None: "own file",
}
_CHOSEN = "studies.chosen"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A study in the list. `stored` is set for results kept with kdviz, `study` for what can be run here."""

    key: str
    title: str
    size: str | None
    is_started: bool = False
    study: Study | None = None
    stored: Stored | None = None

    @property
    def words(self) -> str:
        if self.stored is not None:
            where = "kept results"
        elif self.is_started:
            where = "runs of this server"
        else:
            where = "not started"
        return f"{self.title} · {SIZE_WORDS.get(self.size, self.size)} · {where}"


@st.cache_resource(max_entries=1)
def _kept() -> dict[str, Stored]:
    """With the inside of runs that are among those of the stored demo."""
    demo = {run.id: run for run in store().runs() if run.is_demo}
    return {
        name: replace(kept, table=with_inside(kept.table, demo)) for name, kept in stored_results().items()
    }


@st.cache_resource(ttl=600, max_entries=1)
def _shipped() -> list[Study]:
    return [open_study(name, size, runs_folder()) for name in shipped_studies() for size in SIZES]


def entries() -> list[Entry]:
    """Kept results first, then what was started here, then the shipped ones; the paper's table leads."""
    kept = [
        Entry(key=f"kept:{name}", title=stored.table.title, size=stored.table.size, stored=stored)
        for name, stored in sorted(_kept().items(), key=lambda item: not item[0].startswith("paper-table"))
    ]
    started = [study for study in started_studies(runs_folder()) if not isinstance(study, Unusable)]
    mine = [
        Entry(key=f"own:{study.id}", title=study.title, size=study.size, is_started=True, study=study)
        for study in started
    ]
    there = {study.id for study in started}
    new = [
        Entry(key=f"own:{study.id}", title=study.title, size=study.size, study=study)
        for study in sorted(_shipped(), key=_order)
        if study.id not in there
    ]
    return [*kept, *mine, *new]


def _order(study: Study) -> tuple[int, bool]:
    return SIZES.index(study.size), study.stem != "paper-table"


def choose_study(asked: str) -> Entry:
    """The drop-down list of studies; that of the key `asked`, where a link names it (`?study=`)."""
    found = {entry.key: entry for entry in entries()}
    if asked and asked not in found:
        st.info(f"There is no study {code(asked[:80])} here; another one is shown.", icon=":material/info:")
    if asked in found:
        st.session_state[_CHOSEN] = asked
    elif st.session_state.get(_CHOSEN) not in found:
        active = next((key for key, entry in found.items() if _is_active(entry)), None)
        st.session_state[_CHOSEN] = active or next(iter(found))
    key = st.selectbox(
        "Study",
        list(found),
        index=list(found).index(st.session_state[_CHOSEN]),
        key=_CHOSEN,
        persist_state="session",
        format_func=lambda key: found[key].words,
        help="A study is a grid of runs that differ in a few settings and in their seed, and its table.",
    )
    for study in started_studies(runs_folder()):
        if isinstance(study, Unusable):
            st.caption(f"{plain(study.id)} cannot be read: {plain_reason(study.reason)}.")
    return found[key]


def _is_active(entry: Entry) -> bool:
    if entry.study is None:
        return False
    known = known_study(runs_folder(), entry.study.id)
    return known is not None and known.is_active


def table_of(entry: Entry) -> Table | None:
    """The table as it stands; None where it cannot be made, with a line on why."""
    if entry.stored is not None:
        return entry.stored.table
    ended = tuple(
        (run.id, run.state, str(run.config.get("created")))
        for run in store().runs()
        if run.config.get("study") and run.state in ("finished", "failed")
    )
    try:
        return _table(entry.study, entry.study.text, entry.study.id, str(runs_folder()), ended)
    except (RequestError, OSError) as error:
        st.warning(plain_reason(str(error)))
        return None


@st.cache_resource(max_entries=16, show_spinner="Reading the runs")
def _table(
    _study: Study, text: str, study_id: str, folder: str, ended: tuple[tuple[str, str, str], ...]
) -> Table:
    """Made anew when another run has finished or failed, also under a name that is known, or the study's
    file is another.
    """
    return make_table(_study, Path(folder))
