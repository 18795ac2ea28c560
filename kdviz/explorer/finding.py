"""The sentence above the picture: what two students answer, and how far apart they are inside. Made from the
numbers, whatever those are.
"""

from collections.abc import Mapping, Sequence

from kdviz.analysis.apart import Apart
from kdviz.text import times_text


def finding(headers: Sequence[Mapping], between: Apart | None, diverged: bool = False) -> dict[str, str]:
    """{"text": the sentence, "note": what stands behind its number} for one sentence in one run or two.

    `headers` are those of its packs (see pack.py); `between` compares the two runs, in the same order.
    `diverged`: one of them has, so that nothing is to be concluded.
    """
    if diverged:
        what = "This training" if len(headers) < 2 else "One of these trainings"
        return {"text": f"{what} diverged: its answers are no result.", "note": ""}
    said = _answers(headers)
    if len(headers) < 2 or between is None:
        return {"text": said, "note": ""}
    if not between.is_told_apart:
        inside = "Inside, these two cannot be told apart."
    else:
        far, near = _names(headers, between.farther.place)
        times = times_text(between.farther.times)
        inside = f"Inside, “{far}” is {times} times as far from the teacher as “{near}”."
    return {"text": f"{said} {inside}".strip(), "note": f"{between.interval_words}."}


def _names(headers: Sequence[Mapping], place: int) -> tuple[str, str]:
    """Names of the farther and the nearer run."""
    names = [str(header["about"].get("name", "")) for header in headers]
    return names[place], names[1 - place]


def _answers(headers: Sequence[Mapping]) -> str:
    """Whether the students answer as the teacher does, at the last moment that all have reached."""
    teacher = _class(headers[0]["about"].get("teacher_answer"))
    answers = [_class(_last_shared(header, headers)) for header in headers]
    if teacher is None or None in answers:
        return ""
    agree = [answer == teacher for answer in answers]
    if len(headers) < 2:
        return "Same answer as the teacher." if agree[0] else "Another answer than the teacher."
    if all(agree):
        return "Same answer."
    if not any(agree):
        return "Neither student gives the teacher’s answer."
    return f"Only “{_names(headers, agree.index(True))[0]}” gives the teacher’s answer."


def _last_shared(header: Mapping, headers: Sequence[Mapping]) -> Sequence[float]:
    """The student's answer at the last epoch that every run has reached, where they are to train equally
    long; else at its own last.
    """
    answers = header["about"].get("student_answers") or [()]
    lengths = {each["about"].get("epochs") for each in headers}
    if len(lengths) == 1 and None not in lengths:
        end = min(each["epochs"][-1] for each in headers)
        reached = [place for place, epoch in enumerate(header["epochs"]) if epoch <= end + 1e-6]
        return answers[reached[-1] if reached else 0]
    return answers[-1]


def _class(shares: Sequence[float] | None) -> int | None:
    return max(range(len(shares)), key=shares.__getitem__) if shares else None
