"""Which two students, and which sentence, show best what distillation does inside: from the numbers."""

from collections.abc import Sequence

from kdviz.analysis.comparable import comparable
from kdviz.method.strategies import INTERNAL
from kdviz.metrics import mean_of
from kdviz.runs.reader import Run


def students_of(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Soft labels and an internal student that differ in nothing else, `run` being one of them;
    `run` alone where the other is missing.
    """
    wanted = ("soft",) if run.strategy in INTERNAL else INTERNAL
    alike = comparable(run, runs, apart_from=("strategy",))
    partners = (other for strategy in wanted for other in alike if other.strategy == strategy)
    partner = next((other for other in partners if other.id != run.id and other.moments), None)
    if partner is None:
        return [run]
    return [partner, run] if run.strategy in INTERNAL else [run, partner]


def telling_probe(runs: Sequence[Run]) -> str | None:
    """The preset on which the students answer as the teacher does, and rightly, while they are furthest from
    each other inside; the first preset where there is none.
    """
    best, found = 0.0, None
    for probe in runs[0].probes:
        lines = [_last_of(run, probe.id) for run in runs]
        logits = [probe.teacher_logits, *(line.get("student_logits") or () for line in lines)]
        if not all(logits) or any(_largest(each) != probe.label for each in logits):
            continue
        far = [mean_of(line.get("attention_kl") or ()) for line in lines]
        ratio = far[0] / far[-1] if far[-1] else 0.0
        if ratio > best:
            best, found = ratio, probe.id
    return found or next((probe.id for probe in runs[0].probes), None)


def telling_pair(runs: Sequence[Run], probe_id: str) -> int | None:
    """The matched pair in which two students differ most from each other in their distance to the teacher, on
    one preset; None where that is not recorded.
    """
    numbers = [_last_of(run, probe_id).get("attention_kl") or () for run in runs]
    if len(runs) < 2 or any(len(each) != len(runs[0].pairs) or None in each for each in numbers):
        return None
    gaps = [abs(one - other) for one, other in zip(*numbers, strict=True)]
    return gaps.index(max(gaps))


def _last_of(run: Run, probe_id: str) -> dict:
    lines = run.probe_lines
    return ((lines[-1].get("probes") or {}).get(probe_id) or {}) if lines else {}


def _largest(values: Sequence[float | None]) -> int:
    """The place of the largest; -1 where a diverged student has numbers that are not finite."""
    return -1 if None in values else max(range(len(values)), key=values.__getitem__)
