"""From a run folder, or from answers to one's own sentence, to the packed sentence of the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from cachetools import LRUCache, cached

from kdviz.analysis.cautions import untrained_until
from kdviz.errors import RequestError
from kdviz.explorer.pack import pack
from kdviz.palette import run_styles
from kdviz.runs.arrays import Damaged
from kdviz.runs.names import distinct_names
from kdviz.runs.parts import Probe, thinned
from kdviz.runs.reader import Run

if TYPE_CHECKING:
    from kdviz.share.own_sentence import Answer

NO_MAPS = "Maps were not stored for this run, only its numbers; choose a run with maps."


@dataclass(frozen=True)
class Sign:
    """How a run is called in the picture, and its colour (`#RRGGBB`)."""

    name: str
    colour: str


def signs_of(runs: Sequence[Run]) -> list[Sign]:
    """The signs that tell the runs of one picture apart, in order; of a run alone its strategy's own."""
    styles = run_styles([run.strategy for run in runs])
    return [Sign(name, style.colour) for name, style in zip(distinct_names(runs), styles, strict=True)]


def preset_pack(
    run: Run, probe: Probe, sign: Sign | None = None, *, fine: bool = True, most_moments: int | None = None
) -> bytes:
    """The pack of a preset of `run`: every recorded moment that has maps. RequestError where none has.
    `sign`: that of the run where another one stands beside it (see `signs_of`).

    For a file that has to stay small: `fine` False leaves it at 8 bits, and of more than `most_moments` only
    as many are taken, evenly, the first and the last among them.
    """
    steps = tuple(moment.step for moment in run.moments if moment.has_maps)
    if not steps:
        raise RequestError(NO_MAPS)
    kept = steps if most_moments is None else tuple(thinned(steps, most_moments))
    return _preset_pack(run, probe, sign or signs_of([run])[0], kept, fine, len(steps) - len(kept))


def _place(run: Run, *what: object) -> tuple[object, ...]:
    """What is read from, rather than by whom: whoever asks has read the run's files already."""
    return run.folder, str(run.config.get("created")), *what


@cached(LRUCache(maxsize=64), key=_place, lock=Lock(), info=True)
def _preset_pack(
    run: Run, probe: Probe, sign: Sign, steps: tuple[int, ...], fine: bool, num_left_out: int
) -> bytes:
    lines = {int(line["step"]): line for line in run.probe_lines}
    found, damaged = {}, None
    for step in steps:
        try:
            found[step] = run.student_maps(step, probe.id)
        except Damaged as error:  # a damaged snapshot costs its moment, not the picture
            damaged = error
        except KeyError:
            continue
    if not found:
        raise damaged or RequestError(NO_MAPS)
    recorded = [(lines[step].get("probes") or {}).get(probe.id) or {} for step in found]
    return pack(
        tokens=probe.tokens,
        pairs=run.pairs,
        teacher_maps=run.teacher_maps(probe.id),
        student_maps=list(found.values()),
        steps=list(found),
        epochs=[float(lines[step]["epoch"]) for step in found],
        pair_kl=[_whole(each.get("attention_kl"), len(run.pairs)) for each in recorded],
        about=_about(
            run,
            sign,
            text=_text(probe.text_a, probe.text_b),
            label=probe.label,
            teacher_logits=probe.teacher_logits,
            student_logits=[each.get("student_logits") or () for each in recorded],
            title=probe.title,
        ),
        fine=fine,
        num_left_out=num_left_out,
    )


def answers_pack(
    run: Run,
    answers: Sequence[Answer],
    sign: Sign,
    *,
    steps: Sequence[int],
    epochs: Sequence[float],
    text_a: str,
    text_b: str | None,
    label: int | None = None,
    note: str = "",
) -> bytes:
    """The pack of a sentence put to both models, one answer a moment (its weights are kept at epoch ends)."""
    return pack(
        tokens=answers[-1].tokens,
        pairs=run.pairs,
        teacher_maps=answers[-1].teacher_maps,
        student_maps=[answer.student_maps for answer in answers],
        steps=steps,
        epochs=epochs,
        about=_about(
            run,
            sign,
            text=_text(text_a, text_b),
            label=label,
            teacher_logits=answers[-1].teacher_logits,
            student_logits=[answer.student_logits for answer in answers],
            note=note,
        ),
    )


def _about(
    run: Run,
    sign: Sign,
    *,
    text: str,
    label: int | None,
    teacher_logits: Sequence[float],
    student_logits: Sequence[Sequence[float]],
    title: str = "",
    note: str = "",
) -> dict:
    """What the picture says in words: of the run, of the sentence, and both models' answers as
    probabilities.
    """
    return {
        "run": run.id,
        "name": sign.name,
        "strategy": run.strategy,
        "untrained_until": untrained_until(run),
        "epochs": run.config.get("epochs") if isinstance(run.config.get("epochs"), int) else None,
        "colour": sign.colour,
        "teacher_layers": int(run.config.get("teacher_num_layers") or 1 + max(pair[1] for pair in run.pairs)),
        "student_layers": run.num_layers,
        "text": text,
        "title": title,
        "note": note,
        "labels": [str(name) for name in run.config.get("labels") or ()],
        "label": label,
        "teacher_answer": _shares(teacher_logits),
        "student_answers": [_shares(logits) for logits in student_logits],
        "stages": [[epoch, name] for epoch, name in run.stage_starts],
    }


def _text(text_a: str, text_b: str | None) -> str:
    return " ⟷ ".join(text for text in (text_a, text_b) if text)


def _shares(logits: Sequence[float]) -> list[float] | None:
    """Probabilities of the classes; [] where nothing was recorded, None where it is not finite."""
    values = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        return None
    if not values.size:
        return []
    shares = np.exp(values - values.max())
    return (shares / shares.sum()).tolist()


def _whole(values: Sequence[float] | None, num_pairs: int) -> list[float] | None:
    if not isinstance(values, (list, tuple)) or len(values) != num_pairs:
        return None
    return [float("nan") if value is None else float(value) for value in values]
