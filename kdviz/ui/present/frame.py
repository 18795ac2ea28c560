"""The frame around a view: which lecture, which step, which page stands in it. Read from the link, kept in
the session, written back into the link.

    ?present=the-paper&at=3      presents step 3; `this` instead of a name presents an ordinary view
    ?follow=1                    follows the presenter
    /learn?lecture=the-paper&at=3
`page=` is the page in the frame, and the rest of the link is the view in it. Without both it is the step's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from kdviz.errors import RequestError
from kdviz.runs.reader import Run
from kdviz.runs.store import RUN_ID
from kdviz.share.lecture import DEFAULT, NAME, Lecture, Step, shelf
from kdviz.share.roles import SHOWN, Place, check_place, completed, fulfils, resolve
from kdviz.share.view import LINK_NAMES, View
from kdviz.text import code, counted
from kdviz.ui.frame import link, state
from kdviz.ui.frame.store import default_run, store, watchable

LEARN, PRESENT, FOLLOW = "learn", "present", "follow"
THIS = "this"
"""The name that stands for no lecture: an ordinary view is presented."""
_FRAME, _DONE, _UNFILLED = "kdviz.frame", "kdviz.lecture.done", "kdviz.lecture.unfilled"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """`at` counts from 1. `own` is the reader's run whose figures the lecture shows; None: the demo's."""

    mode: str = ""
    lecture: str = DEFAULT
    at: int = 1
    page: str | None = None
    own: str | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, str], *, is_learn: bool = False) -> tuple["Frame", list[str]]:
        """The frame a link asks for, and a notice for each value that will not do."""
        mode = LEARN if is_learn else PRESENT if "present" in params else FOLLOW if "follow" in params else ""
        if not mode:
            return cls(), []
        notices, frame = [], cls(mode=mode)
        if mode != FOLLOW:
            name = params.get("present" if mode == PRESENT else "lecture", DEFAULT)
            is_one = NAME.fullmatch(name) and (mode == PRESENT or name != THIS)
            frame = replace(frame, lecture=name if is_one else DEFAULT)
            if frame.lecture != name:
                notices.append("The link's lecture was ignored: expected the name of a lecture.")
        at = params.get("at", "1")
        if at.isascii() and at.isdigit() and int(at[:4]) > 0 and len(at) <= 4:
            frame = replace(frame, at=int(at))
        else:
            notices.append("The link's `at` was ignored: expected the number of a step, from 1.")
        if params.get("page") in SHOWN:
            frame = replace(frame, page=params["page"])
        elif "page" in params:
            notices.append("The link's `page` was ignored: there is no such page.")
        if RUN_ID.fullmatch(params.get("mine", "")):
            frame = replace(frame, own=params["mine"])
        elif "mine" in params:
            notices.append("The link's `mine` was ignored: expected a run id.")
        return frame, notices

    def to_params(self) -> dict[str, str]:
        """The link's part of it. A follower's link is the room's, whatever is shown."""
        if self.mode == FOLLOW:
            return {"follow": "1"}
        if not self.mode:
            return {}
        params = {"present" if self.mode == PRESENT else "lecture": self.lecture, "at": str(self.at)}
        if self.lecture == THIS:
            del params["at"]
        if self.page:
            params["page"] = self.page
        if self.own:
            params["mine"] = self.own
        return params


def current() -> Frame:
    return st.session_state.get(_FRAME, Frame())


def keep(frame: Frame) -> None:
    """Make this the session's frame; what is written into the link follows."""
    st.session_state[_FRAME] = frame
    state.set_frame(frame.mode, frame.to_params())


def leave_learn() -> None:
    """On an ordinary page no lecture stands around the view; Learn goes on at the step where it was left."""
    if current().mode == LEARN:
        keep(replace(current(), mode="", page=None))


def read(*, is_learn: bool = False) -> list[str]:
    """Take over the frame and the view that the link asks for, where that is news. Returns notices."""
    notices = _read_frame(is_learn=is_learn)
    if current().mode in (LEARN, PRESENT):
        notices += link.read_link_for_page()
    return notices


def _read_frame(*, is_learn: bool) -> list[str]:
    asked = st.query_params.to_dict()
    frame = current()
    known = state.mode() == LEARN if is_learn else _FRAME in st.session_state and state.mode() != LEARN
    if known and (not asked or not link.is_news()):
        return []
    if is_learn and not asked:
        keep(replace(frame, mode=LEARN) if frame.mode in ("", LEARN) else Frame(mode=LEARN))
        show_step(current().at)
        return []
    frame, notices = Frame.from_params(asked, is_learn=is_learn)
    keep(frame)
    notices += _not_there(frame)
    has_view = "page" in asked or any(name in asked for name in LINK_NAMES)
    if frame.mode in (LEARN, PRESENT) and not has_view:
        show_step(frame.at)
    elif frame.mode and not frame.page and frame.mode != FOLLOW:
        keep(replace(frame, page="start"))
    return notices


def _not_there(frame: Frame) -> list[str]:
    """A notice for a step that the lecture does not have, and for a run that is not here."""
    notices, found = [], shelf().find(frame.lecture) if frame.mode in (LEARN, PRESENT) else None
    if found is not None and frame.at > len(found.steps):
        notices.append(
            f"This lecture has {counted(len(found.steps), 'step')}, not {frame.at}: its last one is shown."
        )
    if found is not None and frame.own is not None and own_run(all_runs()) is None:
        notices.append(f"There is no run {code(frame.own)} to take the figures of; the demo's are shown.")
    return notices


def lecture() -> Lecture | None:
    """The lecture of the frame; None for an ordinary view. RequestError where there is none of that name."""
    frame = current()
    if frame.lecture == THIS:
        return None
    shelved = shelf()
    found = shelved.find(frame.lecture)
    if found is None:
        refusal = shelved.refusal(frame.lecture)
        names = ", ".join(each.name for each in shelved.lectures)
        raise refusal or RequestError(f"There is no lecture {frame.lecture!r}. Lectures here: {names}.")
    return found


def step_of(found: Lecture) -> tuple[int, Step]:
    """(its number from 1, the step): the nearest there is to what the link asks for."""
    at = min(max(current().at, 1), len(found.steps))
    return at, found.steps[at - 1]


def all_runs() -> list[Run]:
    return watchable(store().runs())


def own_run(runs: Sequence[Run]) -> Run | None:
    """The reader's run whose figures are wanted."""
    return next((run for run in runs if run.id == current().own), None)


def show_step(at: int) -> None:
    """Go to a step: its page and its view. For callbacks of buttons too."""
    frame = replace(current(), at=at)
    keep(frame)
    try:
        found = lecture()
    except RequestError:
        return
    if found is None:
        return
    at, step = step_of(found)
    keep(replace(frame, at=at))
    show(_resolve(found, step, all_runs())[0])


def _resolve(found: Lecture, step: Step, runs: Sequence[Run]) -> tuple[Place, list[str]]:
    """A step's view with the runs there are, and a notice for each role that nothing fills."""
    natural = _natural(runs, step.place.page)
    resolved = resolve(step.place, runs, task=found.task, own=own_run(runs), natural=natural)
    st.session_state[_UNFILLED] = (_asked(found, step, runs), resolved[1])
    return resolved


def _asked(found: Lecture, step: Step, runs: Sequence[Run]) -> tuple:
    """What decides on which roles are filled."""
    return step.view, found.task, current().own, tuple(run.id for run in runs)


def unfilled(found: Lecture, step: Step, runs: Sequence[Run]) -> list[str]:
    """A notice for each run of the step's view that is not here. The step's words may speak of it, so this
    stands beside them for as long as they do.
    """
    asked, notices = st.session_state.get(_UNFILLED, (None, []))
    return notices if asked == _asked(found, step, runs) else _resolve(found, step, runs)[1]


def _natural(runs: Sequence[Run], page: str) -> Run | None:
    """The run that a page shows where none was asked for."""
    return default_run(list(runs), prefer_demo=page == "start") if runs else None


def show(place: Place) -> None:
    """Put a page and its view into the frame."""
    keep(replace(current(), page=place.page))
    state.replace_view(View.from_params(place.params)[0])


def take_page() -> str:
    """The page in the frame, after what a control of it asked for (`go_to`)."""
    asked = state.take_page_asked_for()
    if asked in SHOWN:
        keep(replace(current(), page=asked))
    return current().page or "start"


def seen(runs: Sequence[Run]) -> tuple[Run, View] | None:
    """What the page in the frame will show: its run and its completed view. None where there is no run."""
    asked = state.current()
    natural = _natural(runs, current().page or "start")
    run = next((run for run in runs if run.id == asked.run), None) if asked.run else natural
    return (run, completed(asked.but(run=run.id).fit(run)[0], run)) if run else None


def is_done(found: Lecture, step: Step, at: int, page: str, shown: tuple[Run, View] | None) -> bool | None:
    """Whether the task of the step was done in this session; remembered once it was. None where it cannot be:
    a run that it asks for is not here.
    """
    done, asked = st.session_state.setdefault(_DONE, set()), (found.name, at, step.try_this, step.done_when)
    if shown and step.done_when and asked not in done:
        run, view = shown
        runs = all_runs()
        wanted = check_place(step.done_when, is_condition=True)
        wish, notices = resolve(wanted, runs, task=found.task, own=own_run(runs), seen=run)
        if notices:
            return None
        if fulfils(wish, page, view):
            done.add(asked)
    return asked in done
