"""Evaluation examples by their row: texts where the source still has them, answers, and the way to their
maps.
"""

import logging
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import streamlit as st
from cachetools import TTLCache

from kdviz.data import Example, examples_of
from kdviz.errors import RequestError
from kdviz.metrics import predictions
from kdviz.runs.parts import Evaluation
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import can_be_asked
from kdviz.text import decimals, plain, plain_reason
from kdviz.ui.frame.state import change, go_to
from kdviz.ui.frame.words import label_name

log = logging.getLogger("kdviz")
LONGEST_TEXT = 160
LOOK_AGAIN_SECONDS = 20.0
_missing_texts: TTLCache[tuple[Path, str], str] = TTLCache(maxsize=64, ttl=LOOK_AGAIN_SECONDS)
_lock = Lock()


def texts_of(run: Run) -> dict[int, Example]:
    """The evaluation examples by row; {} where the source is not there any more."""
    return _texts_of(run.folder, str(run.config.get("created")))[0]


def say_missing_texts(run: Run) -> None:
    """Why there are only row numbers, where there are."""
    if run.is_demo and not texts_of(run):
        st.caption(
            "The stored demo holds no sentence of the data, only row numbers. With KDVIZ_GLUE_DIR set to a "
            "folder with the data, the texts are shown."
        )
    elif reason := _texts_of(run.folder, str(run.config.get("created")))[1]:
        st.caption(f"Only row numbers: {plain_reason(reason)}.")


def _texts_of(folder: Path, created: str) -> tuple[dict[int, Example], str]:
    """(texts by row, why there are none): what is missing is looked for again after a while."""
    place = folder, created
    with _lock:
        if (known := _missing_texts.get(place)) is not None:
            return {}, known
    try:
        return _texts_in(*place), ""
    except RequestError as error:
        log.info("texts of %s: %s", folder.name, error)
        with _lock:
            _missing_texts[place] = str(error)
        return {}, str(error)


@lru_cache(maxsize=16)
def _texts_in(folder: Path, created: str) -> dict[int, Example]:
    return examples_of(Run(folder))


def text_of(example: Example | None, row: int) -> str:
    """The example in one line, as far as it can be had."""
    if example is None:
        return f"row {row}"
    text = example.text_a if example.text_b is None else f"{example.text_a} ⟷ {example.text_b}"
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def example_box(row: int, runs: list[tuple[str, Run, Evaluation]], looked_at: str) -> None:
    """One example: its text, the answers of the teacher and of the students, and the door to its maps, in all
    of these runs; `looked_at` is the one that the page is about.
    """
    first = runs[0][1]
    example = texts_of(first).get(row)
    with st.container(border=True):
        st.markdown(
            f"**Row {row}** of the evaluation set" + (f": {plain(text_of(example, row))}" if example else "")
        )
        parts = []
        for name, run, answers in runs:
            places = (answers.index == row).nonzero()[0]
            if not len(places):
                continue
            place = places[0]
            if not parts:
                parts.append(f"right answer: {plain(label_name(run, int(answers.label[place])))}")
                parts.append(
                    f"**teacher**: {plain(label_name(run, int(predictions(answers.teacher_logits)[place])))}"
                )
            student = plain(label_name(run, int(predictions(answers.student_logits)[place])))
            kl = decimals(answers.attention_kl[place].mean(dtype=np.float64))
            parts.append(f"**{plain(name)}**: {student}, attention KL {kl}")
        st.markdown(" · ".join(parts))
        askable = [(name, run) for name, run, _ in runs if row in texts_of(run) and can_be_asked(run)]
        if askable:
            st.button(
                f"Show its maps ({plain(' beside '.join(name for name, _ in askable))})",
                key="kdviz.maps",
                icon=":material/grid_on:",
                on_click=_to_maps,
                args=([run.id for _, run in askable], looked_at, row),
            )
        if not askable:
            st.caption(
                f"Its maps need its text and the weights of both models: {_missing(runs, row)}. The presets "
                "have stored maps."
            )
            st.button(
                "Look at the presets",
                key="kdviz.maps.presets",
                icon=":material/grid_on:",
                on_click=_to_presets,
            )


def _missing(runs: list[tuple[str, Run, Evaluation]], row: int) -> str:
    """What of text and weights is not there."""
    texts = any(row in texts_of(run) for _, run, _ in runs)
    weights = any(can_be_asked(run) for _, run, _ in runs)
    missing = ["its text is not here"] * (not texts) + ["these runs keep no weights"] * (not weights)
    return " and ".join(missing) or "no run here has both"


def _to_maps(run_ids: list[str], looked_at: str, row: int) -> None:
    first = looked_at if looked_at in run_ids else run_ids[0]
    others = tuple(run_id for run_id in run_ids if run_id != first)
    change(run=first, others=others, row=row, text_a=None, text_b=None, panel="maps")
    go_to("attention")


def _to_presets() -> None:
    change(over="presets", row=None, panel="inside")
