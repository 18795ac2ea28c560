"""Choosing some of many examples."""

import random
from collections.abc import Sequence

from kdviz.data.examples import Example


def subset(examples: Sequence[Example], size: int | None, *, seed: int) -> tuple[Example, ...]:
    """`size` of the examples, drawn by `seed`, in order of index; all of them where `size` is None or not
    smaller.

    Every label keeps its share: quotas by largest remainder (ties to the smaller label id),
    so no label is off by one example or more. The same examples, size and seed give the same subset on every
    machine; a smaller subset need not lie within a larger one. ValueError for a negative size.
    """
    if size is not None and size < 0:
        raise ValueError(f"a subset of 0 or more examples was expected, got size {size}")
    if size is None or size >= len(examples):
        return tuple(examples)
    rng = random.Random(f"kdviz subset {seed}")
    groups: dict[int, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.label, []).append(example)
    quotas = _quotas({label: len(group) for label, group in groups.items()}, size)
    chosen = [example for label in sorted(groups) for example in rng.sample(groups[label], quotas[label])]
    return tuple(sorted(chosen, key=lambda example: example.index))


def _quotas(counts: dict[int, int], size: int) -> dict[int, int]:
    """Seats of each label among `size` (largest remainder, in whole numbers)."""
    total = sum(counts.values())
    quotas = {label: size * count // total for label, count in counts.items()}
    by_remainder = sorted(counts, key=lambda label: (-(size * counts[label] % total), label))
    for label in by_remainder[: size - sum(quotas.values())]:
        quotas[label] += 1
    return quotas
