"""The strip on top of every page: what is being looked at, and the controls that change it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from kdviz.analysis.divergence import divergence
from kdviz.explorer.telling import students_of
from kdviz.runs.command import shown_name
from kdviz.runs.parts import Moment, Probe
from kdviz.runs.reader import Run
from kdviz.runs.store import Unreadable
from kdviz.share.own_sentence import can_be_asked
from kdviz.share.view import View, epoch_at, same_moment
from kdviz.text import code, counted, plain, plain_reason
from kdviz.ui.frame import link, state
from kdviz.ui.frame.controls import choose, moment_slider, panels
from kdviz.ui.frame.labels import said
from kdviz.ui.frame.look import is_dark
from kdviz.ui.frame.screen import is_narrow
from kdviz.ui.frame.store import default_run, long_name, store, task_title, watchable
from kdviz.ui.frame.take_home import share
from kdviz.ui.frame.turns import fragment
from kdviz.ui.frame.words import WORDS, count, in_words

_REMARK = re.compile(r"\(([^()]*)\)$")
"""What a note adds in brackets at its end: that QQP of the stored demo is a part of the questions."""

LOOK_AGAIN_SECONDS = 2
"""How often a page looks whether a run that goes on has something to show."""

ROW, OWN = "an example of the evaluation set …", "my own sentence …"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a page needs to draw: the run, what of it, and the other runs there are."""

    run: Run
    view: View
    moment: Moment | None
    probe: Probe | None
    runs: tuple[Run, ...]
    dark: bool
    narrow: bool
    chooses: bool = False
    """Whether the page chooses sentence and layers itself where none were asked for."""

    @property
    def step(self) -> int | None:
        return self.moment.step if self.moment else None

    @property
    def pair(self) -> int:
        """The matched pair looked at: the top one unless the view says another."""
        return len(self.run.pairs) - 1 if self.view.pair is None else self.view.pair

    @property
    def is_own(self) -> bool:
        return self.view.text_a is not None

    @cached_property
    def students(self) -> list[Run]:
        """The run and, where there is one, the student that shows the difference: see `students_of`."""
        return students_of(self.run, self.runs)


def strip(
    *,
    sentence: bool = True,
    moment: bool = True,
    prefer_demo: bool = False,
    natural_probe: Callable[[Run, list[Run]], str | None] | None = None,
    more: Callable[[Scene], None] | None = None,
    parts: dict[str, str] | None = None,
) -> Scene:
    """Read the link, draw the strip, and say what is being looked at. Stops the page where there is nothing
    to look at.

    `prefer_demo`: where nothing was asked for, show the stored demo. `natural_probe` names the preset to show
    where none was asked for, of a run among others. `more` draws the page's further controls
    under *More*. `parts`: the page's parts, chosen in the box on the wall (see `panels`).
    """
    notices = link.read_link()
    state.leave_if_asked()
    entries = store().list()
    runs = watchable([entry for entry in entries if isinstance(entry, Run)])
    run = _run_asked_for(runs, entries, prefer_demo)
    view, more_notices = state.current().but(run=run.id).fit(run)
    link.settle(view)
    scene = Scene(
        run=run,
        view=view,
        moment=_moment(run, view),
        probe=_probe(run, view.probe or (natural_probe(run, runs) if natural_probe else None)),
        runs=tuple(runs),
        dark=is_dark(),
        narrow=is_narrow(),
        chooses=natural_probe is not None,
    )
    unreadable = [entry for entry in entries if isinstance(entry, Unreadable)]
    if state.mode() in ("present", "learn"):  # the room is the view's; what changes it is one click away
        with st.popover("Run, sentence, moment", icon=":material/tune:"):
            if parts and state.mode() == "present":
                panels(parts, view.panel, in_box=True)
            _draw(scene, sentence, moment, more, unreadable)
            banner(run)
    elif not state.is_following():
        _draw(scene, sentence, moment, more, unreadable)
    with st.container():  # what comes and goes above would rename a picture that grows by itself
        for notice in notices + more_notices + _unknown_others(view, runs):
            st.info(notice, icon=":material/info:")
        if state.mode() == "":
            banner(run)
    return scene


def _unknown_others(view: View, runs: list[Run]) -> list[str]:
    """A notice for each run to compare with that is not here, or has nothing to show yet."""
    known = {run.id for run in runs}
    missing = [name for name in view.others or () if name not in known]
    return [f"There is no run {code(name)} to compare with." for name in missing]


def _run_asked_for(runs: list[Run], entries: list, prefer_demo: bool) -> Run:
    """The run of the view, else the natural one. Says so kindly and stops the page where there is none."""
    asked = state.current().run
    found = next((run for run in runs if run.id == asked), None)
    if found or (asked is None and runs):
        return found or default_run(runs, prefer_demo)
    if asked is None:
        st.info(
            "There is no run to look at yet. Start one on the page *Distil*: the first numbers come within "
            "seconds.",
            icon=":material/info:",
        )
        st.stop()
    entry = next((entry for entry in entries if entry.id == asked), None)
    if entry is None:
        st.warning(
            f"There is no run {code(asked)} here. It may have been deleted, or belong to another computer.",
            icon=":material/search_off:",
        )
    elif isinstance(entry, Unreadable):
        st.warning(
            f"The run {code(asked)} cannot be read: {plain_reason(entry.reason)}.",
            icon=":material/search_off:",
        )
    else:
        st.info(
            f"The run {code(asked)} ({entry.state}) has nothing to show on this page yet.",
            icon=":material/hourglass_empty:",
        )
        if entry.state in ("queued", "running"):
            fragment(_look_again, run_every=LOOK_AGAIN_SECONDS)(entry, entry.state)
    if runs:
        st.button(
            "Show another run instead",
            type="primary",
            on_click=state.change,
            kwargs={"run": None, "step": None},
        )
    link.settle(state.current())
    st.stop()


def _look_again(run: Run, state_said: str) -> None:
    if watchable([run]) or run.state != state_said:
        st.rerun()


def _moment(run: Run, view: View) -> Moment | None:
    moments = run.moments
    return next((moment for moment in moments if moment.step == view.step), moments[-1] if moments else None)


def _probe(run: Run, wanted: str | None) -> Probe | None:
    probes = run.probes
    return next((probe for probe in probes if probe.id == wanted), probes[0] if probes else None)


def _draw(
    scene: Scene,
    sentence: bool,
    moment: bool,
    more: Callable[[Scene], None] | None,
    unreadable: list[Unreadable],
) -> None:
    widths = [5] + [4] * sentence + [4] * moment + [3.2 if more or unreadable else 2.2]
    if state.mode():  # in a frame there is less room: one below the other
        columns = iter([st.container() for _ in widths])
    else:
        columns = iter(st.columns(widths, vertical_alignment="bottom", gap="small"))
    with next(columns):
        names = {run.id: long_name(run) for run in scene.runs}
        choose(
            "Run",
            "run",
            list(names),
            scene.run.id,
            format_func=names.__getitem__,
            take=lambda chosen: _other_run(scene, chosen),
            help=WORDS["run"],
        )
    if sentence:
        with next(columns):
            _choose_sentence(scene)
    if moment and scene.moment:
        with next(columns):
            steps = [moment.step for moment in scene.run.moments]
            moment_slider(steps, moment_names(scene.run), scene.step, WORDS["moment"])
    elif moment:
        next(columns)
    with next(columns), st.container(horizontal=True, gap="small", horizontal_alignment="right"):
        if more or unreadable:
            with st.popover("More", icon=":material/tune:"):
                if more:
                    more(scene)
                for entry in unreadable:
                    st.caption(f"{plain(entry.id)} cannot be read: {plain_reason(entry.reason)}.")
        with st.popover("Share", icon=":material/ios_share:", help="Link, presenting, report, numbers"):
            share(scene.run, scene.view, scene.runs, chooses=scene.chooses)


def _other_run(scene: Scene, run_id: str) -> dict:
    """The same view of another run: as far through its training, and the same preset where it has it."""
    other = next(run for run in scene.runs if run.id == run_id)
    changed, _ = scene.view.but(run=run_id, step=same_moment(other, scene.run, scene.view.step)).fit(other)
    changes = {
        "run": run_id,
        "step": changed.step,
        "probe": changed.probe,
        "pair": changed.pair,
        "head": changed.head,
    }
    if other.task != scene.run.task:
        changes |= {"row": None, "text_a": None, "text_b": None, "others": None}
    return changes


def _choose_sentence(scene: Scene) -> None:
    presets = {probe.id: f"{probe.title}: {probe.text_a}" for probe in scene.run.probes}
    own = {OWN: OWN}  # first where it can be answered: it is what a visitor wants
    titles = own | presets | {ROW: ROW} if can_be_asked(scene.run) else presets | {ROW: ROW} | own
    view = scene.view
    value = OWN if scene.is_own else ROW if view.row is not None else scene.probe.id if scene.probe else OWN
    choose(
        "Sentence",
        "probe",
        list(titles),
        value,
        format_func=titles.__getitem__,
        take=lambda chosen: _other_sentence(scene, chosen),
        help=WORDS["sentence"],
    )


def _other_sentence(scene: Scene, chosen: str) -> dict:
    if chosen == OWN:
        text = (scene.probe.text_a, scene.probe.text_b) if scene.probe else ("", None)
        return {"text_a": text[0], "text_b": text[1], "row": None}
    if chosen == ROW:
        return {"row": next(iter(scene.run.evaluated_rows), 0), "text_a": None, "text_b": None}
    return {"probe": chosen, "row": None, "text_a": None, "text_b": None}


def moment_names(run: Run) -> dict[int, str]:
    """Each recorded moment in words, by its step."""
    names = {}
    for moment in run.moments:
        epoch = f"{moment.epoch:.0f}" if float(moment.epoch).is_integer() else f"{moment.epoch:.1f}"
        names[moment.step] = (
            "before training" if moment.step == 0 else f"epoch {epoch} · step {count(moment.step)}"
        )
    return names


def banner(run: Run) -> None:
    """One honest line: whose numbers these are, and how many examples and epochs stand behind them."""
    config, data = run.config, run.config.get("data", {})
    note = data.get("note") or ""
    parts = [
        f"**{task_title(run.task)}**",
        ":orange-badge[sample data, not GLUE]" if run.is_sample_data else "real data",
        "" if run.is_sample_data else plain(remark[1] if (remark := _REMARK.search(note)) else ""),
        f"{_of(data, 'train')} training and {_of(data, 'eval')} evaluation "
        f"example{'s' * ((data.get('eval_total') or data['num_eval']) != 1)}"
        if data.get("num_train") is not None and data.get("num_eval") is not None
        else "",
        plain(_skipped(data)),
        f"teacher {plain(shown_name(config.get('teacher')))} of "
        f"{counted(config.get('teacher_num_layers'), 'layer')}",
        f"student of {counted(run.num_layers, 'layer')}, {in_words(run.strategy)}",
        _epochs(run),
        f"seed {run.seed}, one run",
        "" if run.state == "finished" else f"**{run.state}**",
    ]
    st.markdown(":small[" + " · ".join(part for part in parts if part) + "]", help=WORDS["strategy"])
    if reason := divergence(run):
        st.warning(
            f"This training **diverged**: {plain(reason)}. It can be looked at; no mean and no verdict "
            "counts it.",
            icon=":material/trending_up:",
        )
    if faults := run.faults:
        parts = "; ".join(f"{name}: {reason}" for name, reason in faults.items())
        st.warning(
            f"Not everything of this run can be read. {plain_reason(parts)}.",
            icon=":material/broken_image:",
        )
    if run.state == "failed":
        st.warning(
            f"This run failed: {said(run.status.get('error') or 'no reason was written')}. What it "
            "recorded until then can be looked at."
        )


def _epochs(run: Run) -> str:
    """How long it trained: `6 epochs`; of one that has not come to its end `2 of 6 epochs`."""
    planned = counted(run.config.get("epochs"), "epoch")
    return planned if run.state == "finished" else f"{epoch_at(run, None) or 0} of {planned}"


def _skipped(data: dict) -> str:
    """Rows that were left out, beside the numbers of those that were used; "" where there are none."""
    parts = [
        f"{counted(number, f'{kind} row')} of {split}"
        for split, kinds in data.get("skipped", {}).items()
        for kind, number in kinds.items()
    ]
    return f"skipped: {', '.join(parts)}" if parts else ""


def _of(data: dict, split: str) -> str:
    """How many examples, and of how many where it is a part: `4,000 of 8,551`."""
    used, total = data[f"num_{split}"], data.get(f"{split}_total")
    return count(used) if total is None or total == used else f"{count(used)} of {count(total)}"
