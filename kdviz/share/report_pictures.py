"""The explorer in a report, in as many bytes as there are, and what is said of what it holds."""

from collections.abc import Sequence
from html import escape

import numpy as np

from kdviz.analysis.comparable import can_stand_beside
from kdviz.errors import RequestError
from kdviz.explorer import embed
from kdviz.explorer.pack import header_of, hold_the_same
from kdviz.explorer.source import Sign, preset_pack, signs_of
from kdviz.runs.parts import Probe
from kdviz.runs.reader import Run


def pictures(runs: Sequence[Run], most_bytes: int) -> str:
    """The explorer with every preset: two runs of the same teacher, matched layers and sentences are in one
    picture, others have their own.
    """
    signs = signs_of(runs)  # those of the charts: a run keeps its name and colour in a picture of its own
    in_one = len(runs) == 2 and can_stand_beside(*runs)
    if in_one and (together := _picture(runs, signs, most_bytes)):
        return together
    parts = []
    for place, run in enumerate(runs):
        parts.append(f"<h3>{escape(run.id)}</h3>" * (len(runs) > 1))
        picture = (
            _picture([run], signs[place : place + 1], most_bytes // (len(runs) - place))
            or "<p>No maps are stored for this run.</p>"
        )
        parts.append(picture)
        most_bytes -= len(picture.encode())  # what one does not need the next ones have
    return "".join(parts)


def _picture(runs: Sequence[Run], signs: Sequence[Sign], most_bytes: int) -> str:
    """The picture of these runs in at most `most_bytes`, and below it what of them it holds: where the whole
    is more, first at 8 bits, then with fewer moments, then with fewer sentences. "" where they have no preset
    with maps in common.
    """
    every = sentences = _sentences(runs, signs)
    if not every:
        return ""
    picture = embed(sentences)
    if len(picture) > most_bytes and any(header["refined"] for header in _headers(sentences)):
        sentences = _sentences(runs, signs, fine=False)
        picture = embed(sentences)
    if len(picture) > most_bytes:
        maps = 1 + max(len(header["steps"]) for header in _headers(sentences))  # the teacher's are one more
        most_moments = int(0.97 * maps * most_bytes / len(picture)) - 1
        sentences = _sentences(runs, signs, fine=False, most_moments=max(2, most_moments))
        picture = embed(sentences)
    if len(picture) > most_bytes:
        sizes = np.cumsum([len(embed([sentence])) for sentence in sentences])
        sentences = sentences[: int((sizes <= most_bytes).sum())]
        picture = embed(sentences)
    if not sentences:
        return "<p>The maps are too large for this file; a report of fewer runs has more room for them.</p>"
    return picture + _picture_words(runs, sentences, len(every))


def _headers(sentences: Sequence[tuple[str, list[bytes]]]) -> list[dict]:
    return [header_of(packed) for _, packs in sentences for packed in packs]


def _picture_words(
    runs: Sequence[Run], sentences: Sequence[tuple[str, list[bytes]]], num_sentences: int
) -> str:
    """How to use a picture, how exact it is, and what of its runs is not in it."""
    refined = {header["refined"] for header in _headers(sentences)}
    exact, rounded = "exact to four decimals", "in 8 bits, within 1/255 of the largest of their row"
    cells = f"{exact} or {rounded}, as is said below them" if len(refined) > 1 else exact
    kept = []
    for place, run in enumerate(runs):
        headers = [header_of(packs[place]) for _, packs in sentences]
        fewest = min(headers, key=lambda header: len(header["steps"]))
        if fewest["num_left_out"]:
            at_least = "at least " * (len({len(header["steps"]) for header in headers}) > 1)
            num_moments = len(fewest["steps"]) + fewest["num_left_out"]
            whose = f" of {run.id}" if len(runs) > 1 else ""
            kept.append(f"{at_least}{len(fewest['steps'])} of {num_moments} moments{whose}")
    if len(sentences) < num_sentences:
        kept.append(f"{len(sentences)} of {num_sentences} sentences")
    return (
        "<p>Choose sentence, layers, head and moment; the keys work too. KL is the run's own, in full; cells "
        f"of maps are {cells if refined != {False} else rounded}."
        + (escape(f" To keep this file small it holds {' and '.join(kept)}.") if kept else "")
        + "</p>"
    )


def _sentences(runs: Sequence[Run], signs: Sequence[Sign], **limits: object) -> list[tuple[str, list[bytes]]]:
    """The presets whose maps all of these runs have, packed; none where one of them came to other tokens."""
    found = []
    for probe in runs[0].probes:
        try:
            packs = [
                preset_pack(run, _same_probe(run, probe.id), sign, **limits)
                for run, sign in zip(runs, signs, strict=True)
            ]
        except (KeyError, RequestError):
            continue  # not every preset need have maps
        if not hold_the_same(packs):
            return []
        found.append((f"{probe.title}: {probe.text_a}", packs))
    return found


def _same_probe(run: Run, probe_id: str) -> Probe:
    found = next((probe for probe in run.probes if probe.id == probe_id), None)
    if found is None:
        raise KeyError(probe_id)
    return found
