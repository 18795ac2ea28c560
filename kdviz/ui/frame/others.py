"""The runs laid over the one looked at."""

import streamlit as st

from kdviz.analysis.comparable import comparable, same_examples
from kdviz.method.strategies import INTERNAL
from kdviz.runs.reader import Run
from kdviz.share.view import MAX_OTHERS
from kdviz.text import code
from kdviz.ui.frame.controls import bound
from kdviz.ui.frame.store import counterparts, long_name, task_title
from kdviz.ui.frame.strip import Scene
from kdviz.ui.frame.words import WORDS


def other_runs(scene: Scene, most: int = 1) -> tuple[list[Run], list[str]]:
    """The runs to compare with, and a notice for each that was asked for and cannot be.

    Where nothing was asked for, at most `most` counterparts: soft labels first against an internal strategy,
    as in the paper.
    """
    if scene.view.others is None:
        return natural_others(scene)[:most], []
    known, found, notices = {run.id: run for run in scene.runs}, [], []
    for name in scene.view.others:
        run = known.get(name)
        if run is None:
            continue  # the strip says that there is none
        if run.task != scene.run.task:
            notices.append(
                f"{code(name)} is about {task_title(run.task)}, this run about {task_title(scene.run.task)}: "
                "other task, other sentences, so their numbers cannot be laid over each other."
            )
        elif not same_examples(run, scene.run):
            notices.append(
                f"{code(name)} was scored on {_data(run)}, this run on {_data(scene.run)}: other sentences, "
                "so their numbers cannot be laid over each other."
            )
        elif run.id != scene.run.id:
            found.append(run)
            if run.config.get("teacher_fingerprint") != scene.run.config.get("teacher_fingerprint"):
                notices.append(
                    f"{code(name)} has another teacher; what is said of the teacher is about this run's."
                )
    return found, notices


def _data(run: Run) -> str:
    if run.is_sample_data:
        return "sample data, not GLUE"
    return f"real data with the fingerprint {code(str(run.config.get('data', {}).get('fingerprint')))}"


def _possible(scene: Scene) -> dict[str, str]:
    """The runs that may be chosen, by id, with their names."""
    return {
        run.id: long_name(run)
        for run in scene.runs
        if run.id != scene.run.id and same_examples(run, scene.run)
    }


def natural_others(scene: Scene) -> list[Run]:
    """Counterparts of the run, the most telling first."""
    found = counterparts(scene.run, list(scene.runs))
    if scene.run.strategy in INTERNAL:
        return found
    return sorted(found, key=lambda run: run.strategy not in INTERNAL)


def other_depths(scene: Scene) -> list[Run]:
    """Finished students of other depths, otherwise like the one looked at, by depth; the newest of each."""
    found: dict[int, Run] = {}
    for other in comparable(scene.run, scene.runs, apart_from=("student_layers",)):
        if other.num_layers != scene.run.num_layers:
            found.setdefault(other.num_layers, other)
    return [found[depth] for depth in sorted(found)]


def choose_others(scene: Scene, chosen: list[Run]) -> None:
    """The control for several runs."""
    names = _possible(scene)
    bound(
        st.multiselect,
        "Compared with",
        "others",
        [run.id for run in chosen if run.id in names],
        options=list(names),
        format_func=names.__getitem__,
        max_selections=MAX_OTHERS,
        help=WORDS["others"],
        placeholder="no other run",
        take=lambda ids: {"others": tuple(ids)},
    )


def choose_other(scene: Scene, chosen: Run | None) -> None:
    """The control for one other run."""
    names = _possible(scene)
    bound(
        st.selectbox,
        "Compared with",
        "others",
        chosen.id if chosen else None,
        key="other",
        options=list(names),
        format_func=names.__getitem__,
        help=WORDS["others"],
        placeholder="no other run",
        take=lambda name: {"others": (name,) if name else ()},
    )


def say(notices: list[str]) -> None:
    for notice in notices:
        st.info(notice, icon=":material/info:")
