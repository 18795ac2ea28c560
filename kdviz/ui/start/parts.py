"""The parts of the Start page."""

import streamlit as st

from kdviz.analysis.apart import apart
from kdviz.analysis.comparable import comparable
from kdviz.analysis.divergence import divergence
from kdviz.explorer.finding import finding as finding_of
from kdviz.explorer.pack import header_of
from kdviz.explorer.source import signs_of
from kdviz.explorer.telling import students_of, telling_pair
from kdviz.palette import words_of
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import can_be_asked
from kdviz.share.view import MAX_TEXT_CHARACTERS, View, clean_text, same_moment
from kdviz.text import decimals
from kdviz.ui.attention.explore import pack_of
from kdviz.ui.attention.sentence import is_pair_task
from kdviz.ui.distil.partner import offer_partner
from kdviz.ui.frame.controls import bound
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.picture import changes_of, look_of, picture
from kdviz.ui.frame.scores import by_strategy, score_text, spread_text, verdict
from kdviz.ui.frame.shell import has_page
from kdviz.ui.frame.state import change, go_to, look_at, mode
from kdviz.ui.frame.store import task_title
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import WORDS, metric_title, metric_words, primary_metric
from kdviz.visible import has_visible

UNBROKEN = "\u00a0"


def title(has_runs: bool) -> None:
    """The product's name, and what it is for."""
    st.subheader(
        "kdviz: see what a small model learns from a large one",
        anchor=False,
        help="\n\n".join(WORDS[term] for term in ("distillation", "strategy", "attention", "kl")),
    )
    if not has_runs:
        st.markdown(
            "**Knowledge distillation** lets a large trained model, the *teacher*, train a smaller one, the "
            "*student*. Copying its answers is not all there is: *internal* distillation also makes the "
            "student **look where the teacher looks**, layer by layer."
        )
        st.info(
            "Nothing has been trained here yet. *Run your own* trains a teacher and a student on this "
            "computer; the first numbers come within seconds."
        )


def doors(has_runs: bool) -> None:
    """Explore what is there, or start a run."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button(
            "Explore",
            type="primary",
            disabled=not has_runs,
            icon=":material/travel_explore:",
            on_click=go_to,
            args=("attention",),
        )
        if has_page("distil"):
            st.button("Run your own", icon=":material/play_arrow:", on_click=go_to, args=("distil",))


def finding(scene: Scene) -> None:
    """The picture: one sentence, teacher, soft and internal student on one scale, playing by itself."""
    runs = scene.students
    packs = [pack_of(scene, run, sign)[0] for run, sign in zip(runs, signs_of(runs), strict=True)]
    look = look_of(scene.view, scene.run)
    if scene.view.pair is None and scene.probe and not scene.is_own:
        pair = telling_pair(runs, scene.probe.id)
        look["pair"] = look["pair"] if pair is None else pair
    look["step"] = same_moment(runs[0], scene.run, look["step"])
    picture(
        packs,
        look,
        key="start.picture",
        options={
            "differences": False,
            "chrome": False,
            "finding": finding_of(
                [header_of(packed) for packed in packs], apart(runs[:1], runs[1:]), any(map(divergence, runs))
            ),
            "autoplay": look["step"] is None,
        },
        on_look=lambda look: _moved(scene.run, runs[0], look),
    )


def _moved(run: Run, first: Run, look: dict) -> None:
    step = same_moment(run, first, look["step"])
    change(**changes_of({**look, "step": step}, run))


def own_sentence(scene: Scene) -> None:
    """A box for a sentence (or pair) of one's own, answered in the same picture; where the runs keep no
    weights, the way to runs that do.
    """
    if not all(map(can_be_asked, scene.students)):
        _to_one_that_answers(scene)
        return
    is_pair = is_pair_task(scene)
    fields = [("text_a", "Try your own: first sentence" if is_pair else "Try your own sentence")]
    if is_pair:
        fields.append(("text_b", "Second sentence"))
    for place, (field, label) in zip(st.columns(len(fields)), fields, strict=True):
        with place:
            bound(
                st.text_input,
                label,
                field,
                getattr(scene.view, field) or "",
                key=f"start.{field}",
                max_chars=MAX_TEXT_CHARACTERS,
                placeholder="write and press Enter",
                label_visibility="collapsed" if not is_pair else "visible",
                take=lambda text, field=field: _asked(scene, field, clean_text(text)),
            )


def _to_one_that_answers(scene: Scene) -> None:
    first = sorted(scene.runs, key=lambda run: not run.is_demo)  # it is what this page is of
    asked = ((run, students_of(run, scene.runs)) for run in first if can_be_asked(run))  # the quicker first
    run = next((run for run, two in asked if len(two) == 2 and all(map(can_be_asked, two))), None)
    if run is not None:
        st.button(
            f"Try a sentence of your own: with the {task_title(run.task)} models",
            icon=":material/edit:",
            help="The weights of the models in this picture are not kept; those are.",
            key="start.to_own_sentence",
            on_click=look_at,
            args=(View(run=run.id),),
        )


def _asked(scene: Scene, field: str, text: str) -> dict:
    texts = {"text_a": scene.view.text_a, "text_b": scene.view.text_b} | {field: text}
    if not any(map(has_visible, texts.values())):
        return {"text_a": None, "text_b": None}
    return {name: value or ("" if name == "text_a" else None) for name, value in texts.items()} | {
        "row": None
    }


def result(scene: Scene) -> None:
    """What the scores of these runs say, and the scores; where a run is missing for that, how to get it."""
    metric = primary_metric(scene.run)
    rows = by_strategy(comparable(scene.run, scene.runs), metric)
    is_framed = bool(mode())  # a lecture takes half the window, or writes large: a table beside would be cut
    words, numbers = [st.container(), st.container()] if is_framed else st.columns([3, 2], gap="large")
    with words:
        if said := verdict(rows, metric, scene.students[-1].strategy):
            st.markdown(said)
        elif not divergence(scene.run):  # of which the line above says what to do
            offer_partner(scene.run)
    with numbers, guarded("The scores"):
        _scores(scene, rows, metric)


def _scores(scene: Scene, rows: list, metric: str) -> None:
    """A table in Markdown: Streamlit's own would bring the first visitor another megabyte of scripts, and the
    server pandas.
    """
    teacher = scene.run.evals[-1].get("teacher_metrics", {}).get(metric) if scene.run.evals else None
    title = metric_title(metric)
    lines = [f"| Model | {title} | Attention KL |", "|:---|:---|---:|"]
    if teacher is not None:
        lines.append(f"| teacher | {teacher:.2f} | |")
    for row in rows:
        name = words_of(row.strategy).replace(" ", UNBROKEN)
        lines.append(f"| {name} | {score_text(row)} | {decimals(row.attention_kl, 2)} |")
    if len(lines) == 2:
        return
    explained = {"Model": WORDS["strategy"], title: metric_words(metric), "Attention KL": WORDS["kl"]}
    st.markdown("\n".join(lines))
    st.caption(
        spread_text(rows) + ". KL: nats, mean of layers and examples"
        if rows
        else "no score of a student that counts",
        help="\n\n".join(f"**{name}.** {words}" for name, words in explained.items()),
    )
