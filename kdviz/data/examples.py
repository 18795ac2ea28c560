"""One labelled sentence or sentence pair, the unit every source yields, and the splits of a task."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class Example:
    """A row of a GLUE-style split.

    `index` is the 0-based row in its split (header not counted), also in a subset. `text_b` is None for
    single-sentence tasks. `label` is the hub's class id. `phenomenon` is known for sample data only.
    """

    index: int
    text_a: str
    text_b: str | None
    label: int
    phenomenon: str | None = None


@dataclass(frozen=True, kw_only=True)
class Splits:
    """What a source holds of one task: the train set, and the dev sets in order, the main one first.

    `skipped` counts rows that were left out, by split and kind of damage; `warnings` are lines about rows
    that were taken as they are but look wrong.
    """

    task: str
    train: tuple[Example, ...]
    dev: dict[str, tuple[Example, ...]]
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of a SHA-256 over the task's name and the `fingerprint` of every split."""
        parts = [
            self.task,
            fingerprint(self.train),
            *(f"{name} {fingerprint(examples)}" for name, examples in self.dev.items()),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def fingerprint(examples: Iterable[Example]) -> str:
    """First 16 hex digits of the SHA-256 of every example's index, label and texts, in order.

    Texts go in with their length, so no two different lists of examples are written out the same.
    """
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.index} {example.label} {0 if example.text_b is None else 1}\n".encode())
        for text in (example.text_a, example.text_b or ""):
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)}\n".encode() + encoded)
    return digest.hexdigest()[:16]
