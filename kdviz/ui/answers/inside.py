"""The Answers page: same answer, different inside."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from kdviz.analysis import Inside, inside, rank_inside
from kdviz.errors import RequestError
from kdviz.figures import inside_scatter
from kdviz.method.strategies import INTERNAL
from kdviz.palette import Style, run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import Evaluation
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import can_be_asked
from kdviz.share.view import same_moment
from kdviz.text import cell
from kdviz.ui.answers.scores import evaluated_words, line_at
from kdviz.ui.distil.partner import offer_partner
from kdviz.ui.frame import state
from kdviz.ui.frame.controls import bound, boxed
from kdviz.ui.frame.examples import example_box, say_missing_texts, text_of, texts_of
from kdviz.ui.frame.look import chart
from kdviz.ui.frame.others import choose_other, other_runs, say
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.state import change, go_to
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import OVER, WORDS

MOST_ROWS = 200


def inside_part(scene: Scene) -> None:
    """The paper's claim in one picture: as alike in their answers, not at all alike inside."""
    others, notices = other_runs(scene)
    with boxed("What is compared"):
        left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        choose_other(scene, others[0] if others else None)
    with right:
        bound(
            st.selectbox,
            "Each dot is one of the",
            "over",
            scene.view.over,
            options=list(OVER),
            format_func=lambda name: OVER[name].split(",")[0],
        )
    say(notices)
    if scene.view.others is None and not others:
        offer_partner(scene.run)
    # soft labels first, whichever is looked at: the story goes from them to the internal strategy
    runs = sorted([*others[:1], scene.run], key=lambda run: run.strategy in INTERNAL)
    in_order = [scene.run, *others[:1]]  # as on the other parts, so that a run keeps its colour
    worn = dict(zip(in_order, run_styles([run.strategy for run in in_order]), strict=True))
    styles = [worn[run] for run in runs]
    if scene.view.over == "presets":
        _presets(scene, runs, styles)
    else:
        _examples(scene, runs, styles)


def _examples(scene: Scene, runs: list[Run], styles: list[Style]) -> None:
    answers = [evaluation_at(run, scene) for run in runs]
    names = distinct_names(runs)
    drawn = [
        (name, run.strategy, inside(each.index, each.teacher_logits, each.student_logits, each.attention_kl))
        for name, run, each in zip(names, runs, answers, strict=True)
    ]
    _need_numbers(drawn)
    _say(WORDS["inside"])
    figure = remembered(inside_scatter, drawn, styles=styles, chosen=scene.view.row, dark=scene.dark)
    chart(
        figure,
        "answers.inside",
        "Output KL against attention KL of every evaluation example",
        on_click=_choose_row,
    )
    say_evaluated(scene, runs, names)
    if scene.view.row is not None:
        example_box(scene.view.row, list(zip(names, runs, answers, strict=True)), scene.run.id)
    texts = texts_of(scene.run)
    ranked = rank_inside(*(each for _, _, each in drawn))
    table = _table(ranked[:MOST_ROWS], names, lambda row: text_of(texts.get(row), row))
    table = table if texts else table.drop(columns="text")
    st.markdown(
        f"Examples on which {_who(runs)} the teacher's answer, the most different inside first"
        f"{cut_words(len(ranked))}. {choose_words(runs)}"
    )
    pick(table, "answers.inside.list")
    say_missing_texts(scene.run)


def say_evaluated(scene: Scene, runs: list[Run], names: list[str]) -> None:
    """On what and after which epoch what is shown was answered."""
    lines = [line_at(run, scene) for run in runs]
    st.caption(evaluated_words([(name, line) for name, line in zip(names, lines, strict=True) if line]))


def choose_words(runs: list[Run]) -> str:
    """What choosing a row of the list shows: maps too where its text and a run's weights are here."""
    has_maps = any(texts_of(run) and can_be_asked(run) for run in runs)
    return f"Choose a row to see its answers{' and maps' if has_maps else ''}."


def _who(runs: list[Run]) -> str:
    return "both students give" if len(runs) > 1 else "the student gives"


def cut_words(number: int) -> str:
    """That a list of so many is cut, where it is."""
    return f" (the first {MOST_ROWS} of {number:,})" if number > MOST_ROWS else ""


def _say(words: str) -> None:
    """What the dots are; a step of a lecture says it itself."""
    if state.mode() != "present":
        st.markdown(words)


def _need_numbers(drawn: list[tuple[str, str, Inside]]) -> None:
    """RequestError where a run has no finite number to draw."""
    for name, _, each in drawn:
        if not len(each.index):
            raise RequestError(f"{name}: no example has finite numbers at this moment; choose an earlier one")


def _presets(scene: Scene, runs: list[Run], styles: list[Style]) -> None:
    """The same with the presets as dots: their maps are stored, so a click opens them."""
    probes = scene.run.probes
    if not probes:
        raise KeyError("no presets")
    drawn, names = [], distinct_names(runs)
    for name, run in zip(names, runs, strict=True):
        line, own = _probe_line(run, scene), {probe.id: probe for probe in run.probes}
        rows = [line.get("probes", {})[probe.id] for probe in probes]
        teacher = np.array([own[probe.id].teacher_logits for probe in probes], dtype=float)
        student, kl = (
            np.array([row["student_logits"] for row in rows], dtype=float),
            np.array([row["attention_kl"] for row in rows], dtype=float),
        )
        drawn.append((name, run.strategy, inside(np.arange(len(probes)), teacher, student, kl)))
    _need_numbers(drawn)
    _say(WORDS["inside"].replace("evaluation example", "preset"))
    figure = remembered(
        inside_scatter, drawn, styles=styles, titles=[probe.title for probe in probes], dark=scene.dark
    )
    chart(
        figure,
        "answers.inside.presets",
        "Output KL against attention KL of every preset",
        on_click=lambda points: _open_dot(points, runs, scene.run, [probe.id for probe in probes]),
    )
    table = _table(
        rank_inside(*(each for _, _, each in drawn)),
        names,
        lambda row: f"{probes[row].title}: {probes[row].text_a}",
    )
    st.markdown(
        f"Presets on which {_who(runs)} the teacher's answer, the most different inside first. Choose a "
        "row, or click a dot, to open its maps."
    )
    if table.empty:
        st.info("There is no such preset at this moment.", icon=":material/info:")
        return
    st.dataframe(
        table.drop(columns="row"),
        hide_index=True,
        height="content",
        column_config=_columns(table),
        key="answers.presets.list",
        on_select=lambda: _open_line(table, runs, scene.run, [probe.id for probe in probes]),
        selection_mode="single-row",
    )


def _probe_line(run: Run, scene: Scene) -> dict:
    step = scene.step if run.id == scene.run.id else same_moment(run, scene.run, scene.view.step)
    lines = run.probe_lines
    if not lines:
        raise KeyError("no moment yet")
    return next((line for line in lines if int(line["step"]) == step), lines[-1])


def evaluation_at(run: Run, scene: Scene) -> Evaluation:
    """The per-example results at the view's moment; of another run as far through its training."""
    line = line_at(run, scene)
    if line is None:
        raise KeyError("no evaluation yet")
    return run.evaluation(int(line["epoch"]))


def _table(ranked: list[dict], names: list[str], text: Callable[[int], str]) -> pd.DataFrame:
    rows = []
    for row in ranked:
        found = {
            "row": row["index"],
            "text": cell(text(row["index"])),
            f"attention KL, {names[0]}": row["attention_kl"],
            f"output KL, {names[0]}": row["output_kl"],
        }
        if len(names) > 1:
            found |= {
                f"attention KL, {names[1]}": row["other_attention_kl"],
                f"output KL, {names[1]}": row["other_output_kl"],
                "times": row["times"],
            }
        rows.append(found)
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["row", "text"]).round(4)


def _columns(table: pd.DataFrame) -> dict:
    """Titles and hovers of the columns there are."""
    found = {
        "row": st.column_config.NumberColumn("Row", format="%d"),
        "text": st.column_config.TextColumn("Text", width="large"),
        "times": st.column_config.NumberColumn(
            "Times as far", format="%.1f", help="The first run's attention KL divided by the second's."
        ),
    }
    for name in table.columns:
        term = {"attention KL": "kl", "output KL": "logit_kl"}.get(name.partition(",")[0])
        if term:
            found[name] = st.column_config.NumberColumn(name, help=WORDS[term])
    return found


def pick(table: pd.DataFrame, key: str) -> None:
    """A list of evaluation examples in which choosing a row looks at it."""

    def picked() -> None:
        chosen = st.session_state[key].selection.rows
        if chosen and chosen[0] < len(table):
            change(row=int(table["row"].iloc[chosen[0]]), text_a=None, text_b=None)

    if table.empty:
        st.info("There is no such example at this moment.", icon=":material/info:")
        return
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=picked,
        selection_mode="single-row",
        height=330,
        column_config=_columns(table),
    )


def _choose_row(points: list[dict]) -> None:
    data = points[0].get("customdata")
    if data:
        change(row=int(data[1]), text_a=None, text_b=None)


def _open_dot(points: list[dict], runs: list[Run], looked_at: Run, ids: list[str]) -> None:
    data = points[0].get("customdata")
    if data:
        _open_preset(runs, looked_at, ids[int(data[1])])


def _open_line(table: pd.DataFrame, runs: list[Run], looked_at: Run, ids: list[str]) -> None:
    chosen = st.session_state["answers.presets.list"].selection.rows
    if chosen and chosen[0] < len(table):
        _open_preset(runs, looked_at, ids[int(table["row"].iloc[chosen[0]])])


def _open_preset(runs: list[Run], looked_at: Run, probe_id: str) -> None:
    """Both runs go on to the maps, at the moment of the numbers: the one looked at, the other beside it."""
    change(
        run=looked_at.id,
        others=tuple(run.id for run in runs if run.id != looked_at.id),
        probe=probe_id,
        row=None,
        text_a=None,
        text_b=None,
        panel="maps",
    )
    go_to("attention")
