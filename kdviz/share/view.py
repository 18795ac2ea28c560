"""What is being looked at: one `View`, shared by every page. A link is the `View` written out as query
parameters.

Nothing that comes from a link is trusted. `View.from_params` checks the form of every value, `View.fit`
checks it against the run; a value that will not do falls back to its default and is named in a notice. Layers
and heads are 0-based here and 1-based in links, because people read links.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from kdviz.runs.reader import Run
from kdviz.runs.store import RUN_ID
from kdviz.text import counted, plain

MAX_TEXT_CHARACTERS = 5000
MAX_OTHERS = 5
OVER = ("examples", "presets")
AXES = ("epoch", "step", "progress")
PANELS = (
    "maps",
    "training",
    "bertviz",
    "bertviz-model",
    "curves",
    "stages",
    "heads",
    "partners",
    "cka",
    "scores",
    "inside",
    "mistakes",
    "runs",
)
DRAWN = ("maps", "lines")
LINK_VERSION = 1
"""What `v` in a link says. It grows when a parameter gets another meaning."""
CELLS = ("all", "both-right", "teacher-only", "student-only", "both-wrong")


@dataclass(frozen=True, kw_only=True)
class View:
    """One state of the screen. None means: the natural choice (the last moment, the first preset, the average
    head).

    `others` None: the page's own choice of runs to compare with; () none. `text_a` set: an own sentence;
    `row` set: that evaluation example; else the preset `probe`. `panel` is the part of a page in sight (None:
    its first). `threshold` is a probability: weaker links are not drawn. `drawn`: attention as maps, or as
    lines between words.
    """

    run: str | None = None
    panel: str | None = None
    others: tuple[str, ...] | None = None
    step: int | None = None
    probe: str | None = None
    row: int | None = None
    text_a: str | None = None
    text_b: str | None = None
    pair: int | None = None
    head: int | None = None
    hide_special: bool = False
    renormalise: bool = False
    threshold: float = 0.0
    drawn: str = "maps"
    over: str = "examples"
    axis: str = "epoch"
    cell: str = "all"

    def but(self, **changes: object) -> "View":
        """This view with some fields changed."""
        return replace(self, **changes)

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> tuple["View", list[str]]:
        """The view a link asks for, and one notice for each value that is not of the expected form. Unknown
        names are ignored.
        """
        values, notices = {}, []
        for name, (field, read, _) in _PARAMS.items():
            if name not in params:
                continue
            try:
                values[field] = read(str(params[name]))
            except ValueError as error:
                notices.append(f"The link's `{name}` was ignored: expected {error}.")
        if values.get("text_a") is None and values.pop("text_b", None) is not None:
            notices.append("The link's `text2` was ignored: expected a first sentence, `text`, beside it.")
        return cls(**values), notices

    def to_params(self) -> dict[str, str]:
        """The query parameters of this view; values that are the default are left out."""
        defaults = {field.name: field.default for field in fields(self)}
        return {
            name: write(getattr(self, field))
            for name, (field, _, write) in _PARAMS.items()
            if getattr(self, field) != defaults[field]
        }

    def fit(self, run: Run) -> tuple["View", list[str]]:
        """This view with everything that `run` does not have replaced by its default, and a notice for
        each.
        """
        fitted, notices = self, []

        def drop(field: str, why: str) -> None:
            nonlocal fitted
            fitted = fitted.but(**{field: None})
            notices.append(why)

        if self.pair is not None and self.pair >= len(run.pairs):
            drop(
                "pair",
                f"This run has {counted(len(run.pairs), 'matched layer')}, not {self.pair + 1}: the "
                "top one is shown.",
            )
        if self.head is not None and self.head >= run.num_heads:
            drop(
                "head",
                f"This run has {counted(run.num_heads, 'head')}, not {self.head + 1}: the average of all "
                "heads is shown.",
            )
        if self.step is not None and self.step not in {moment.step for moment in run.moments}:
            drop("step", f"This run has no recorded moment at step {self.step}: the last one is shown.")
        if self.probe is not None and self.probe not in {probe.id for probe in run.probes}:
            drop("probe", "This run has no such preset: its first one is shown.")
        if self.row is not None and self.row >= _rows_in_split(run):
            drop("row", f"This run's evaluation data have no row {self.row}: a preset is shown.")
        return fitted, notices


def epoch_at(run: Run, step: int | None) -> int | None:
    """The last evaluated epoch at or before `step` (None: the last of all). None where nothing was evaluated
    yet.
    """
    passed = [int(line["epoch"]) for line in run.evals if step is None or int(line["step"]) <= step]
    return max(passed) if passed else None


def step_of_epoch(run: Run, epoch: float) -> int | None:
    """The recorded moment nearest to `epoch`; None where nothing was recorded."""
    moments = run.moments
    return min(moments, key=lambda moment: abs(moment.epoch - epoch)).step if moments else None


def same_moment(other: Run, run: Run, step: int | None) -> int | None:
    """The step of `other` that belongs to `step` of `run`: of the same epoch where both were to train equally
    long, else as far through what was recorded. None: its last moment. The explorer's `sameMoment` is the
    same rule.
    """
    if step is None or not other.moments or not run.moments:
        return None
    here = min(run.moments, key=lambda moment: abs(moment.step - step))
    if run.config.get("epochs") and run.config["epochs"] == other.config.get("epochs"):
        return min(other.moments, key=lambda moment: abs(moment.epoch - here.epoch)).step
    share = here.step / (run.moments[-1].step or 1)
    last = other.moments[-1].step or 1
    return min(other.moments, key=lambda moment: abs(moment.step / last - share)).step


def _rows_in_split(run: Run) -> int:
    data = run.config.get("data", {})
    return int(data.get("eval_rows") or data.get("eval_total") or data.get("num_eval") or 0)


def _whole_number(low: int, high: int, wanted: str):
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
            raise ValueError(f"{wanted}, got {_short(text)}")
        return int(text)

    return read


def _one_based(wanted: str):
    read = _whole_number(1, 999, wanted)
    return lambda text: read(text) - 1


def _run_id(text: str) -> str:
    if not RUN_ID.fullmatch(text):
        raise ValueError(f"a run id (1 to 64 of a-z 0-9 . _ -), got {_short(text)}")
    return text


def _run_ids(text: str) -> tuple[str, ...]:
    if text == "none":
        return ()
    names = tuple(dict.fromkeys(_run_id(name) for name in text.split(",")))
    if len(names) > MAX_OTHERS:
        raise ValueError(f"at most {MAX_OTHERS} run ids, got {len(names)}")
    return names


def _probe_id(text: str) -> str:
    if not (
        0 < len(text) <= 64 and all(letter in "abcdefghijklmnopqrstuvwxyz0123456789-" for letter in text)
    ):
        raise ValueError(f"the id of a preset, got {_short(text)}")
    return text


def _sentence(text: str) -> str:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"a sentence of at most {MAX_TEXT_CHARACTERS} characters, got {len(text)}")
    return clean_text(text)


def clean_text(text: str) -> str:
    """`text` without what no model reads and no file holds: control characters (but line ends and tabs) and
    lone surrogates.
    """
    kept = (
        letter
        for letter in text
        if (letter >= " " or letter in "\n\t") and not "\ud800" <= letter <= "\udfff" and letter != "\x7f"
    )
    return "".join(kept)


def _share(text: str) -> float:
    try:
        value = float(text) if len(text) <= 20 else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 0.5:
        raise ValueError(f"a probability from 0 to 0.5, got {_short(text)}")
    return value


def _one_of(*choices: str):
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}, got {_short(text)}")
        return text

    return read


def _switch(text: str) -> bool:
    return _one_of("1", "0")(text) == "1"


def _short(text: str) -> str:
    """What came, short and harmless inside a notice."""
    kept = "".join(letter for letter in text[:30] if letter.isalnum() or letter in " .,_-+")
    return f"“{plain(kept)}{'…' if len(text) > 30 else ''}”"


_PARAMS = {
    # link name: (field, reading, writing)
    "run": ("run", _run_id, str),
    "show": ("panel", _one_of(*PANELS), str),
    "with": ("others", _run_ids, lambda names: ",".join(names) or "none"),
    "step": ("step", _whole_number(0, 999_999_999, "a training step"), str),
    "preset": ("probe", _probe_id, str),
    "row": ("row", _whole_number(0, 999_999_999, "a row number"), str),
    "text": ("text_a", _sentence, str),
    "text2": ("text_b", _sentence, str),
    "layer": ("pair", _one_based("a layer number from 1"), lambda pair: str(pair + 1)),
    "head": ("head", _one_based("a head number from 1"), lambda head: str(head + 1)),
    "hide": ("hide_special", _switch, lambda on: "1" if on else "0"),
    "renormalise": ("renormalise", _switch, lambda on: "1" if on else "0"),
    "weak": ("threshold", _share, lambda share: f"{share:g}"),
    "as": ("drawn", _one_of(*DRAWN), str),
    "over": ("over", _one_of(*OVER), str),
    "axis": ("axis", _one_of(*AXES), str),
    "cell": ("cell", _one_of(*CELLS), str),
}

LINK_NAMES = tuple(_PARAMS)
"""Every query parameter that is part of a view."""


def version_notice(params: Mapping[str, str]) -> list[str]:
    """A notice where a link was made by another version of kdviz than this one can read."""
    version = params.get("v", str(LINK_VERSION))
    if version == str(LINK_VERSION):
        return []
    return [
        f"This link was made by another version of kdviz ({_short(version)}); what is known of it is shown."
    ]
