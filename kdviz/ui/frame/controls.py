"""Controls bound to a field of the View: they show what the View says, and change it."""

from collections.abc import Callable, Sequence

import streamlit as st

from kdviz.ui.frame import state
from kdviz.ui.frame.state import change

PREFIX = "kdviz.control."


def bound(
    kind: Callable,
    label: str,
    field: str,
    value: object,
    *,
    key: str = "",
    take: Callable[[object], dict] | None = None,
    **options: object,
) -> None:
    """A streamlit control of any `kind` that shows `value` and on change sets `field` of the View (or what
    `take` makes of the choice). A window that follows the presenter has none.
    """
    if state.is_following():
        return
    name = PREFIX + (key or field)
    if (
        name not in st.session_state or st.session_state[name] != value
    ):  # writing it anew would wipe what is being typed
        st.session_state[name] = value
    shown = starting_with(kind, value, options.get("options", ()))
    kind(label, key=name, on_change=_take, args=(name, field, take), **shown, **options)


def starting_with(kind: Callable, value: object, options: Sequence = ()) -> dict:
    """What a control of that `kind` takes so that `value` is its own default too. Of a value that the script
    sets Streamlit tells the browser once: one that draws only the run after, as a busy one does, would show
    the default, and send it as the visitor's choice.
    """
    if kind.__name__ in ("selectbox", "radio"):
        return {"index": list(options).index(value) if value in options else None}
    return {"default" if kind.__name__ in ("multiselect", "segmented_control") else "value": value}


def _take(name: str, field: str, take: Callable[[object], dict] | None) -> None:
    chosen = st.session_state[name]
    change(**(take(chosen) if take else {field: chosen}))


def choose(label: str, field: str, options: Sequence, value: object, **more: object) -> None:
    """A drop-down list; a value that is not among the options shows as the first."""
    bound(st.selectbox, label, field, value if value in options else options[0], options=options, **more)


def switch(label: str, field: str, value: bool, **more: object) -> None:
    bound(st.toggle, label, field, value, **more)


def moment_slider(steps: Sequence[int], names: dict[int, str], value: int, help: str) -> None:
    """The recorded moments with a step back and forth; the arrow keys do the same."""
    place = steps.index(value)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.button(
            "",
            key="kdviz.back",
            shortcut=None if state.mode() == "present" else "Left",
            disabled=place == 0,
            on_click=_move,
            args=(steps, place - 1),
            help="Earlier (←)",
        )
        if len(steps) > 1:
            bound(
                st.select_slider,
                "Moment of training",
                "step",
                value,
                options=list(steps),
                format_func=names.__getitem__,
                help=help,
            )
        else:
            st.text_input("Moment of training", names[value], disabled=True, help=help)
        st.button(
            "",
            key="kdviz.forth",
            shortcut=None if state.mode() == "present" else "Right",
            disabled=place == len(steps) - 1,
            on_click=_move,
            args=(steps, place + 1),
            help="Later (→)",
        )


def _move(steps: Sequence[int], place: int) -> None:
    if 0 <= place < len(steps):
        change(step=steps[place])


def boxed(label: str):
    """A place for a part's own controls: as they are, or on the wall in a box of that name."""
    return st.popover(label, icon=":material/tune:") if state.mode() == "present" else st.container()


def panels(names: dict[str, str], value: str | None, *, in_box: bool = False) -> str:
    """The parts of a page, one in sight at a time; returns which. A part of another page counts as the
    first. On the wall the choice stands in the strip's box alone (`in_box`): the picture has the room.
    """
    shown = value if value in names else next(iter(names))
    if state.mode() == "present" and not in_box:
        return shown
    bound(
        st.segmented_control,
        "Part of the page",
        "panel",
        shown,
        options=list(names),
        format_func=names.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    return shown
