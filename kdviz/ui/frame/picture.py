"""The explorer on a page: packs are sent once, what is looked at goes both ways.

The picture changes by itself and says where it is once it has come to rest; that changes the View and the
link, and nothing is drawn anew. When the View says something that the picture has not said or been told (a
link, Back, the presenter), it is told: the look gets a new serial. A picture that is there reacts to nothing
else; one that is made anew, as on coming back to a page, begins at the look.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import streamlit as st

from kdviz.explorer import header_of, palette
from kdviz.explorer.bundle import carrier, script, style
from kdviz.jobs import following
from kdviz.runs.reader import Run
from kdviz.share.view import DRAWN, View
from kdviz.ui.frame import state

MOST_PACKS = 2
FOLLOWED = 1_000_000


@cache
def _picture():
    return st.components.v2.component("kdviz_explorer", js=script("in_page"), css=style())


@cache
def _carrier():
    return st.components.v2.component("kdviz_pack", js=carrier())


def picture(
    packs: Sequence[bytes],
    look: Mapping[str, object],
    *,
    key: str,
    options: Mapping[str, object] | None = None,
    on_look: Callable[[dict], None] | None = None,
) -> None:
    """Draw the packs of one sentence (of one run, or of two beside the same teacher) as `look` says.

    `look` as `look_of` gives it. `on_look` is called as a callback with the look that the visitor has come to
    rest at. `options`: differences, chrome, finding ({text, note} or None), autoplay. The arrow keys move the
    moment wherever nothing else has the keyboard; in a presentation they move its steps, so only inside.
    """
    memory = f"kdviz.picture.{key}"
    told = st.session_state.get(memory)
    if told is None or told["now"] != look:
        serial = told["serial"] + 1 if told else 1
        if state.is_following():  # one window draws for many: they count by what the presenter did
            serial = FOLLOWED + following.shared().version
        told = {"serial": serial, "now": dict(look)}
        st.session_state[memory] = told
    data = {
        "packs": [header_of(packed)["id"] for packed in packs],
        "look": dict(look),
        "serial": told["serial"],
        "palette": palette(),
        "options": {"keys": "picture" if state.mode() == "present" else "page", **(options or {})},
    }
    with st.container(gap=None):
        _picture()(
            key=key,
            data=[data],  # Streamlit searches a dict for data frames, and imports pandas for it
            on_look_change=lambda: _heard(key, memory, on_look),
        )
        for number, packed in enumerate(packs[:MOST_PACKS]):
            _carrier()(key=f"{key}.pack{number}", data=packed, height=1)


def _heard(key: str, memory: str, on_look: Callable[[dict], None] | None) -> None:
    look = checked_look(getattr(st.session_state.get(key), "look", None))
    if look is None or on_look is None:
        return
    st.session_state[memory] = {**st.session_state[memory], "now": look}
    on_look(look)


def checked_look(told: object) -> dict | None:
    """What a browser said, where it has the form of a look; None where it has not."""
    if not isinstance(told, Mapping):
        return None
    number = lambda name: isinstance(told.get(name), int) and 0 <= told[name] < 10**9
    weak = told.get("weak")
    whole = number("pair") and all(told.get(name) is None or number(name) for name in ("head", "step"))
    if not whole or told.get("mode") not in DRAWN or not isinstance(weak, (int, float)):
        return None
    if not math.isfinite(weak) or not 0 <= weak <= 0.5:
        return None
    return {
        **{name: told.get(name) for name in ("pair", "head", "step", "mode")},
        "hide": bool(told.get("hide")),
        "renormalise": bool(told.get("renormalise")),
        "weak": float(weak),
    }


def look_of(view: View, run: Run) -> dict:
    """What the picture is to look at, in its own words. The newest moment is None: the picture stays at the
    newest when another comes.
    """
    moments = run.moments
    return {
        "pair": len(run.pairs) - 1 if view.pair is None else view.pair,
        "head": view.head,
        "step": None if moments and view.step == moments[-1].step else view.step,
        "mode": view.drawn,
        "hide": view.hide_special,
        "renormalise": view.renormalise,
        "weak": float(view.threshold),
    }


def changes_of(look: Mapping[str, object], run: Run) -> dict:
    """The fields of the View that a look of the picture sets."""
    return {
        "pair": None if look["pair"] == len(run.pairs) - 1 else look["pair"],
        "head": look["head"],
        "step": look["step"],
        "drawn": look["mode"],
        "hide_special": look["hide"],
        "renormalise": look["renormalise"],
        "threshold": look["weak"],
    }
