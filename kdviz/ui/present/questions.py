"""A step's question put to the room: the presenter's counts, and the followers' choice."""

import hashlib

import streamlit as st

from kdviz.errors import RequestError
from kdviz.jobs import following
from kdviz.share.lecture import Lecture, Step, safe_markdown
from kdviz.text import counted, plain
from kdviz.ui.frame.identity import visitor
from kdviz.ui.frame.turns import fragment
from kdviz.ui.present.wire import wake_followers

POLL_SECONDS = 1.0
LETTERS = "ABCDEF"
ANSWER = "kdviz.answer"
"""Where a presenter's window keeps the name of the question whose answer it shows."""


def question_key(found: Lecture, step: Step) -> str:
    """The room's name of a step's question: of its words and choices, so that answers to it never stand under
    another one, though the lecture was edited meanwhile. One that is put again in a later step is another.
    """
    asked = (step.question, *step.choices)
    alike = [each for each in found.steps if (each.question, *each.choices) == asked]
    place = next(place for place, each in enumerate(alike) if each is step)
    return f"{found.name}/{hashlib.blake2b(repr((asked, place)).encode(), digest_size=12).hexdigest()}"


def presenter_question(found: Lecture, step: Step) -> None:
    """The choices, and for who leads: put it, watch the counts, reveal."""
    room, key = following.shared(), question_key(found, step)
    if not step.choices:
        return
    leads = room.is_led_by(visitor())
    if not (leads and room.is_put(key)):
        st.markdown(
            "\n".join(f"- {LETTERS[place]}. {plain(text)}" for place, text in enumerate(step.choices))
        )
    if not leads:
        return
    if not room.is_put(key):
        st.button("Ask the room", icon=":material/front_hand:", on_click=_put, args=(key, len(step.choices)))
        return
    if room.is_revealed(key):
        counts(step, room.counts(key))
        return
    fragment(_live_counts, run_every=POLL_SECONDS)(step, key)
    st.button("Show the room the counts", icon=":material/bar_chart:", on_click=_reveal, args=(key,))


def _live_counts(step: Step, key: str) -> None:
    counts(step, following.shared().counts(key))


def counts(step: Step, chosen: tuple[int, ...], mine: int | None = None) -> None:
    """How many chose what, as bars of text: a phone and a screen reader read them alike."""
    total = sum(chosen)
    rows = []
    for place, text in enumerate(step.choices):
        number = chosen[place] if place < len(chosen) else 0
        share = number / total if total else 0.0
        own = " (your choice)" * (place == mine)
        rows.append(f"- {LETTERS[place]}. {plain(text)}{own}: **{number}** ({share:.0%})")
    st.markdown("\n".join(rows))
    st.caption(counted(total, "answer"))


def follower_question(found: Lecture, step: Step) -> None:
    """The question of the step, the choice while it is open, counts and answer when they are shown."""
    room, key, who = following.shared(), question_key(found, step), visitor()
    if not step.question:
        return
    st.markdown(f"**{safe_markdown(step.question)}**")
    mine = room.choice_of(who, key)
    if room.is_revealed(key):
        counts(step, tuple(room.counts(key)), mine)
        st.markdown(safe_markdown(step.answer))
    elif room.is_put(key):
        st.radio(
            "Your answer",
            range(len(step.choices)),
            index=mine,
            key=f"kdviz.choice.{key}",
            format_func=lambda place: f"{LETTERS[place]}. {plain(step.choices[place])}",
            on_change=_answer,
            args=(key,),
        )
        st.caption(
            "Counted, you may change it until the counts are shown."
            if mine is not None
            else "Nobody sees who chose what."
        )


def _answer(key: str) -> None:
    try:
        following.shared().answer(visitor(), key, int(st.session_state[f"kdviz.choice.{key}"]))
    except RequestError as error:
        st.toast(str(error))


def _put(key: str, num_choices: int) -> None:
    try:
        following.shared().put(visitor(), key, num_choices)
        wake_followers()
    except RequestError as error:
        st.toast(str(error))


def _reveal(key: str) -> None:
    st.session_state[ANSWER] = key
    try:
        following.shared().reveal(visitor(), key)
        wake_followers()
    except RequestError as error:
        st.toast(str(error))
