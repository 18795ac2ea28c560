"""The settings form over a reload, and filled from a run: what a control shows is what the session holds."""

from threading import Lock

import streamlit as st
from cachetools import LRUCache

from kdviz.config import MATCHINGS, RunConfig, custom_layers
from kdviz.ui.distil.form import CUSTOM_LAYERS, chosen_anew, key_of, put

_RESTORED = "distil.restored"
_kept: LRUCache[str, dict[str, object]] = LRUCache(maxsize=500)  # browsers
_lock = Lock()


def restore_form(owner: str) -> None:
    """Put back what this browser had set before it was reloaded. Once a session, before the controls are
    drawn.
    """
    if _RESTORED in st.session_state:
        return
    st.session_state[_RESTORED] = True
    with _lock:
        kept = dict(_kept.get(owner, {}))
    for name, value in kept.items():
        st.session_state.setdefault(key_of(name), value)


def keep_form(owner: str) -> None:
    """Remember what the controls say now, for this server's life and the browsers seen last."""
    names = (*RunConfig.__dataclass_fields__, CUSTOM_LAYERS)
    values = {name: st.session_state[key_of(name)] for name in names if key_of(name) in st.session_state}
    with _lock:
        _kept[owner] = values


def fill_form(config: RunConfig) -> None:
    """Let the controls say what `config` does."""
    values = {name: getattr(config, name) for name in RunConfig.__dataclass_fields__}
    if config.matching not in MATCHINGS:
        values |= {"matching": "custom", CUSTOM_LAYERS: custom_layers(config.matching)}
    values |= {name: values[name] or "" for name in ("data_dir", "student_checkpoint")}
    values["active_pairs"] = values["active_pairs"] or ()
    for name, value in values.items():
        put(name, list(value) if isinstance(value, tuple) else value)
        chosen_anew(name)
    st.session_state[_RESTORED] = True
