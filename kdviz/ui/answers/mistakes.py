"""The Answers page: who is wrong where."""

from functools import reduce

import numpy as np
import pandas as pd
import streamlit as st

from kdviz.analysis import predictions, right_wrong, right_wrong_by_phenomenon
from kdviz.figures import phenomenon_dots, right_wrong_table
from kdviz.palette import run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import Evaluation
from kdviz.runs.reader import Run
from kdviz.share.view import same_moment
from kdviz.text import cell, plain
from kdviz.ui.answers.inside import (
    MOST_ROWS,
    choose_words,
    cut_words,
    evaluation_at,
    pick,
    say_evaluated,
)
from kdviz.ui.frame.controls import choose
from kdviz.ui.frame.examples import example_box, say_missing_texts, text_of, texts_of
from kdviz.ui.frame.look import chart, heading
from kdviz.ui.frame.others import choose_other, other_runs, say
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.state import change, current
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import CELLS, WORDS, label_name

SIDES = {"both-right": (0, 0), "teacher-only": (0, 1), "student-only": (1, 0), "both-wrong": (1, 1)}


def mistake_part(scene: Scene) -> None:
    """Teacher right or wrong against student right or wrong, for one run or two, and the examples of one
    cell.
    """
    others, notices = other_runs(scene)
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        choose_other(scene, others[0] if others else None)
    with right:
        choose(
            "Listed below",
            "cell",
            list(CELLS),
            scene.view.cell,
            format_func=CELLS.__getitem__,
            help=WORDS["right_wrong"],
        )
    say(notices)
    runs = [scene.run, *others[:1]]
    styles = run_styles([run.strategy for run in runs])
    names, answers = distinct_names(runs), [evaluation_at(run, scene) for run in runs]
    tables = [right_wrong(each.label, each.teacher_logits, each.student_logits) for each in answers]
    st.markdown(
        "A student that copies *behaviour* keeps the teacher's right answers **and repeats its mistakes**. "
        "Click a cell to list its examples below."
    )
    for number, place in enumerate(st.columns(len(runs))):
        chosen = (0, *SIDES[scene.view.cell]) if scene.view.cell in SIDES and number == 0 else None
        figure = remembered(
            right_wrong_table,
            [(names[number], runs[number].strategy, tables[number])],
            styles=[styles[number]],
            chosen=chosen,
            dark=scene.dark,
        )
        with place:
            chart(
                figure,
                f"answers.mistakes.{number}",
                f"Examples by whether the teacher and {names[number]} are right",
                on_click=lambda points, number=number: _choose_cell(points, runs, number),
            )
    say_evaluated(scene, runs, names)
    if scene.view.row is not None:
        example_box(scene.view.row, list(zip(names, runs, answers, strict=True)), scene.run.id)
    _list(scene, runs, names[0], answers[0], tables[0])
    if scene.run.phenomena:
        heading("By phenomenon", "phenomenon")
        _by_phenomenon(scene, runs, names, answers)


def _list(scene: Scene, runs: list[Run], name: str, answers: Evaluation, table) -> None:
    rows = (
        np.arange(len(answers.index))
        if scene.view.cell == "all"
        else table.rows[SIDES[scene.view.cell][0]][SIDES[scene.view.cell][1]]
    )
    teacher, student = predictions(answers.teacher_logits), predictions(answers.student_logits)
    texts, phenomena, found = texts_of(scene.run), scene.run.phenomena, []
    for place in rows[:MOST_ROWS]:
        row = int(answers.index[place])
        entry = {"row": row} | ({"text": cell(text_of(texts[row], row))} if row in texts else {})
        for who, answer in (
            ("right answer", answers.label[place]),
            ("teacher", teacher[place]),
            ("student", student[place]),
        ):
            entry[who] = cell(label_name(scene.run, int(answer)))
        entry["attention KL"] = round(float(answers.attention_kl[place].mean(dtype=np.float64)), 4)
        if phenomena:
            entry["phenomenon"] = cell(phenomena.get(row, ""))
        found.append(entry)
    st.markdown(
        f"**{CELLS[scene.view.cell]}** for {plain(name)}: {len(rows):,} of {len(answers.index):,} "
        f"examples{cut_words(len(rows))}. {choose_words(runs)}"
    )
    pick(pd.DataFrame(found), "answers.mistakes.list")
    say_missing_texts(scene.run)


def _by_phenomenon(scene: Scene, runs: list[Run], names: list[str], answers: list[Evaluation]) -> None:
    """Over the examples that all runs answered: another subset is easier or harder."""
    both = reduce(np.intersect1d, [each.index for each in answers])
    tables = [
        right_wrong_by_phenomenon(
            [scene.run.phenomena.get(int(row)) if row in both else None for row in each.index],
            each.label,
            each.teacher_logits,
            each.student_logits,
        )
        for each in answers
    ]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    teacher = [tables[0][name].counts[0].sum() / tables[0][name].num_examples for name in shared]
    students = [
        (label, run.strategy, [table[name].counts[:, 0].sum() / table[name].num_examples for name in shared])
        for label, run, table in zip(names, runs, tables, strict=True)
    ]
    figure = remembered(
        phenomenon_dots,
        shared,
        [tables[0][name].num_examples for name in shared],
        teacher,
        students,
        dark=scene.dark,
    )
    chart(figure, "answers.phenomena", "Accuracy of teacher and students by phenomenon")


def _choose_cell(points: list[dict], runs: list[Run], number: int) -> None:
    data = points[0].get("customdata")
    if not data:
        return
    _, teacher, student = (int(value) for value in data)
    cell = next(name for name, sides in SIDES.items() if sides == (teacher, student))
    if number:  # a cell of the other run: look at that one
        step = same_moment(runs[number], runs[0], current().step)
        change(cell=cell, run=runs[number].id, others=(runs[0].id,), step=step, row=None)
    else:
        change(cell=cell, row=None)
