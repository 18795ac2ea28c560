"""The explorer on the Attention page: the run looked at, where wished with another one beside it."""

import time
from contextlib import suppress

import streamlit as st

from kdviz.analysis.apart import apart
from kdviz.analysis.comparable import can_stand_beside
from kdviz.analysis.divergence import divergence
from kdviz.errors import RequestError
from kdviz.explorer.finding import finding
from kdviz.explorer.pack import header_of, hold_the_same
from kdviz.explorer.source import Sign, answers_pack, preset_pack, signs_of
from kdviz.runs.names import distinct_names
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import Answer, can_be_asked, epochs_with_weights
from kdviz.text import code
from kdviz.ui.attention.ask import ask_models
from kdviz.ui.attention.sentence import nearest_epoch, texts_of_view
from kdviz.ui.frame.controls import bound
from kdviz.ui.frame.picture import changes_of, look_of, picture
from kdviz.ui.frame.state import change, current
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.turns import fragment
from kdviz.ui.frame.words import WORDS

ANSWER_SECONDS = 0.8
"""So long the answers of earlier epochs may keep a visitor waiting; the rest come while they look."""

REFRESH_SECONDS = 2
_MOVED = "kdviz.picture.moved"


def explore(scene: Scene) -> None:
    """The picture; it grows by itself while its run trains, and while earlier epochs are still asked."""
    with st.container():  # one element more above the fragment would give it another name
        _say_apart(scene)
    packs, is_whole = packs_of(scene)
    if is_whole:
        _draw(scene, packs)
    else:
        fragment(_grow, run_every=REFRESH_SECONDS)(scene)


def _grow(scene: Scene) -> None:
    """Draw, and only then the page anew: Streamlit forgets a picture that is not drawn before, and with it
    what the visitor has just come to look at.
    """
    packs, is_whole = packs_of(scene)
    _draw(scene, packs)
    if st.session_state.pop(_MOVED, False) or is_whole:
        st.rerun()


def packs_of(scene: Scene) -> tuple[list[bytes], bool]:
    """The sentence in the run looked at, then in the one beside it; and whether no moment is to come.

    RequestError where the maps of the run looked at cannot be had.
    """
    runs = [scene.run, *beside(scene)[:1]]
    found = [pack_of(scene, run, sign) for run, sign in zip(runs, signs_of(runs), strict=True)]
    if not hold_the_same([packed for packed, _ in found]):
        found = found[:1]
    return [packed for packed, _ in found], all(is_whole for _, is_whole in found)


def _draw(scene: Scene, packs: list[bytes]) -> None:
    view, _ = current().but(run=scene.run.id).fit(scene.run)
    picture(
        packs,
        look_of(view, scene.run),
        key="attention.picture",
        options={"finding": _finding(scene, packs) if len(packs) > 1 else None},
        on_look=lambda look: _moved(scene.run, look),
    )
    if len(packs) == 1 and (other := beside(scene)[:1]):
        st.caption(
            f":material/info: {code(other[0].id)} cut this sentence at another length, so one picture cannot "
            "hold both."
        )


def _finding(scene: Scene, packs: list[bytes]) -> dict[str, str]:
    """What the two runs in the picture have in common outside, and whether they differ inside."""
    runs = [scene.run, *beside(scene)[:1]]
    headers = [header_of(packed) for packed in packs]
    return finding(headers, apart(runs[:1], runs[1:]), any(map(divergence, runs)))


def _moved(run: Run, look: dict) -> None:
    change(**changes_of(look, run))
    st.session_state[_MOVED] = True


def beside(scene: Scene) -> list[Run]:
    """The runs of the view that can be shown beside the one looked at. Where none was asked for, a new
    sentence is put to soft labels and an internal strategy alike: as the same answer, another inside.
    """
    if scene.view.others is None:
        natural = scene.students if _is_asked(scene) else []
        return [run for run in natural if run.id != scene.run.id and can_be_asked(run)]
    known = {run.id: run for run in scene.runs}
    asked = [known[name] for name in scene.view.others if name in known]
    return [run for run in asked if can_stand_beside(scene.run, run)]


def _say_apart(scene: Scene) -> None:
    """Why none of the runs asked for stands beside the one looked at."""
    asked = [run for run in scene.runs if run.id in (scene.view.others or ()) and run.id != scene.run.id]
    if asked and not beside(scene):
        names = " and ".join(code(run.id) for run in asked)
        st.info(
            f"{names}: not of this run's task, teacher and matched layers, so one picture cannot hold both.",
            icon=":material/info:",
        )


def choose_beside(scene: Scene) -> None:
    """The control for a second student of the same teacher."""
    others = [run for run in scene.runs if can_stand_beside(scene.run, run)]
    told_apart = distinct_names([scene.run, *others])[1:]
    names = dict(zip((run.id for run in others), told_apart, strict=True))
    shown = beside(scene)
    bound(
        st.selectbox,
        "Beside it",
        "others",
        shown[0].id if shown else None,
        key="beside",
        options=list(names),
        format_func=names.__getitem__,
        placeholder="another student of this teacher" if names else "no other student of this teacher",
        disabled=not names,
        help=WORDS["beside"],
        label_visibility="collapsed",
        take=lambda name: {"others": (name,) if name else ()},
    )


def _is_asked(scene: Scene) -> bool:
    """Whether the sentence is answered by the models rather than read from the run."""
    return scene.is_own or scene.view.row is not None


def pack_of(scene: Scene, run: Run, sign: Sign) -> tuple[bytes, bool]:
    """The sentence of the view in `run`, and whether no moment of it is to come. RequestError where its maps
    cannot be had.
    """
    if not _is_asked(scene):
        probe = next((probe for probe in run.probes if scene.probe and probe.id == scene.probe.id), None)
        if probe is None or not run.moments:
            raise RequestError(
                "Maps were not stored for this run, only its numbers; choose a run with maps."
                if run.state == "finished"
                else "No maps yet: they come with the first recorded moment, in a few seconds."
            )
        return preset_pack(run, probe, sign), scene.run.state != "running"
    text_a, text_b, label = texts_of_view(scene)
    if not can_be_asked(run):
        raise RequestError(
            f"The run {run.id} keeps no weights, so it cannot be asked about a new sentence; choose another "
            "run, or a preset."
        )
    answers, is_whole = _answers(run, text_a, text_b, nearest_epoch(run, scene.moment))
    lines = {int(line["epoch"]): line for line in run.evals}
    cut = any(answer.truncated for answer in answers.values())
    packed = answers_pack(
        run,
        list(answers.values()),
        sign,
        steps=[int(lines[epoch]["step"]) for epoch in answers],
        epochs=[float(epoch) for epoch in answers],
        text_a=text_a,
        text_b=text_b,
        label=label,
        note=f"Too long for the models: only the first {len(next(iter(answers.values())).tokens)} tokens "
        "were read; the rest was cut."
        if cut
        else "",
    )
    return packed, is_whole


def _answers(run: Run, text_a: str, text_b: str | None, wanted: int) -> tuple[dict[int, Answer], bool]:
    """Answers by epoch, in order: that of `wanted` at once, the others as far as there is time and their
    weights can be used. And whether there was time for all.
    """
    begin, found = time.monotonic(), {wanted: ask_models(run, text_a, text_b, wanted)}
    left = [epoch for epoch in sorted(epochs_with_weights(run), reverse=True) if epoch != wanted]
    while left and time.monotonic() - begin < ANSWER_SECONDS:
        epoch = left.pop(0)
        with suppress(RequestError):
            found[epoch] = ask_models(run, text_a, text_b, epoch)
    return dict(sorted(found.items())), not left
