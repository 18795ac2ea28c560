"""The registry of loss terms: every module here defines one `TERM`. A new term is one new file.

Settings (`--terms`, a weight each), the teacher's kept outputs, the objective, evaluation, curves and words
follow from it. What it needs is in `kdviz.method.term`.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from kdviz.method.term import Reading, Term

TERMS: dict[str, Term] = {
    term.name: term
    for term in (import_module(f"{__name__}.{module.name}").TERM for module in iter_modules(__path__))
}
READINGS: dict[str, Reading] = {term.reads.name: term.reads for term in TERMS.values()}
DEFAULT_TERMS: tuple[str, ...] = tuple(term.name for term in TERMS.values() if term.is_default)


def measured_terms(asked: tuple[str, ...] = ()) -> list[Term]:
    """The terms that an evaluation measures: the default ones always, so that runs can be compared, and those
    asked for.
    """
    return [term for term in TERMS.values() if term.is_default or term.name in asked]


def recorded_terms(lines: Iterable[Mapping[str, Any]]) -> list[Term]:
    """The terms beside the default ones of which any of these lines of metrics.jsonl has numbers."""
    lines = list(lines)
    return [
        term
        for term in TERMS.values()
        if not term.is_default and any((line.get("mismatch") or {}).get(term.key) for line in lines)
    ]
