"""A teacher that is not on this machine: brought here when somebody who may asks for it, never by itself."""

import streamlit as st

from kdviz.errors import RequestError
from kdviz.files import size_words
from kdviz.jobs.fetching import Fetch, begin_fetch, fetch_of
from kdviz.jobs.limits import Limits
from kdviz.models.hub import NotHere
from kdviz.ui.frame import identity
from kdviz.ui.frame.look import plain
from kdviz.ui.frame.turns import fragment

_REFUSED = "distil.bring.refused"


def bring_box(missing: NotHere) -> None:
    """The button that brings the model, and while it comes a bar that moves by itself."""
    fetch = fetch_of(missing.place.name)
    under_way = fetch is not None and not fetch.is_over
    fragment(_bar, run_every=1.0 if under_way else None)(missing, under_way)


def _bar(missing: NotHere, was_under_way: bool) -> None:
    name, fetch = missing.place.name, fetch_of(missing.place.name)
    comes_from_hub = missing.place.hub_id is not None  # else from packages that are here, to be joined
    refusal = identity.permissions().refusal("start", identity.visitor())
    if fetch is not None and not fetch.is_over:
        st.progress(fetch.share, text=_words(fetch, comes_from_hub))
        st.button("Stop", key="distil.bring.stop", disabled=bool(refusal), on_click=fetch.stop.set)
        if not was_under_way:
            st.rerun()  # the bar moves by itself from now on
        return
    if fetch is not None and fetch.error:
        st.error(plain(fetch.error), icon=":material/cloud_off:")
    most = Limits.from_environment().download_bytes
    st.button(
        f"Download {plain(name)} to this machine" if comes_from_hub else f"Prepare {plain(name)}",
        icon=":material/download:",
        key="distil.bring.start",
        disabled=bool(refusal),
        help=f"Its size is asked first; at most {size_words(most)} are fetched."
        if comes_from_hub
        else "Its packages are joined once, in seconds: 440 MB of disk. Nothing is downloaded.",
        on_click=_begin,
        args=(name, most),
    )
    if refusal:
        st.caption(f":material/lock: {refusal}")
    elif refused := st.session_state.pop(_REFUSED, None):
        st.error(plain(refused))
    if was_under_way:
        st.rerun()  # it is here, or it is clear why not


def _begin(name: str, most_bytes: int) -> None:
    try:
        identity.permissions().require("start", identity.visitor())
    except RequestError as error:
        st.session_state[_REFUSED] = str(error)
    else:
        begin_fetch(name, most_bytes=most_bytes)


def _words(fetch: Fetch, comes_from_hub: bool) -> str:
    if not fetch.total:
        return f"Asking for the size of {plain(fetch.name)} …"
    doing = "Downloading" if comes_from_hub else "Preparing"
    return f"{doing} {plain(fetch.name)}: {fetch.done / 1e6:,.0f} of {fetch.total / 1e6:,.0f} MB"
