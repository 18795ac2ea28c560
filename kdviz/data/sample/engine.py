"""The stream of examples of one task: phenomena in turn, no example twice, the same on every machine."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kdviz.data.sample.words import Words

Item = TypeVar("Item")
Row = tuple[str, str | None, int]
_MAX_TRIES = 2000


class Draw:
    """Seeded choices for one split.

    Only `random.Random.random` is used, whose sequence Python promises to keep for a given seed in every
    version.
    """

    def __init__(self, split: str, seed_text: str):
        self.split = split
        self._random = random.Random(seed_text)

    def pick(self, choices: Words | Sequence[Item]) -> Item:
        """One of `choices`; of a word class, one of the words that this split may use."""
        if isinstance(choices, Words):
            choices = choices.of(self.split)
        return choices[int(self._random.random() * len(choices))]

    def template(self, *, train: Sequence[Item], dev: Sequence[Item]) -> Item:
        """A template of this split: the two splits share none."""
        return self.pick(train if self.split == "train" else dev)

    def several(self, choices: Words | Sequence[Item], count: int) -> list[Item]:
        """`count` different ones of `choices`."""
        if isinstance(choices, Words):
            choices = choices.of(self.split)
        return self.shuffled(choices)[:count]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """A copy in random order."""
        shuffled = list(items)
        for last in range(len(shuffled) - 1, 0, -1):
            other = int(self._random.random() * (last + 1))
            shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
        return shuffled

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability


@dataclass(frozen=True, kw_only=True)
class Phenomenon:
    """One way in which sentences differ in label.

    `rows(draw)` returns a small group of (text_a, text_b, label) with as many of one label as of the other,
    such as a minimal pair, so that no prefix of the stream is far from balance.
    """

    name: str
    rows: Callable[[Draw], list[Row]]


def stream(phenomena: Sequence[Phenomenon], draw: Draw) -> Iterator[tuple[Row, str]]:
    """Endless (row, phenomenon) without repetition; the phenomenon with the fewest rows so far comes next."""
    seen: set[tuple[str, str | None]] = set()
    counts = {phenomenon.name: 0 for phenomenon in phenomena}
    while True:
        fewest = min(counts.values())
        phenomenon = draw.pick([each for each in phenomena if counts[each.name] == fewest])
        group = _new_group(phenomenon, draw, seen)
        counts[phenomenon.name] += len(group)
        seen.update((text_a, text_b) for text_a, text_b, _ in group)
        for row in draw.shuffled(group):
            yield row, phenomenon.name


def _new_group(phenomenon: Phenomenon, draw: Draw, seen: set[tuple[str, str | None]]) -> list[Row]:
    for _ in range(_MAX_TRIES):
        group = phenomenon.rows(draw)
        texts = {(text_a, text_b) for text_a, text_b, _ in group}
        if len(texts) == len(group) and not texts & seen:
            return group
    raise RuntimeError(
        f"sample data: {phenomenon.name!r} gave nothing new in {_MAX_TRIES} tries; "
        "it needs more words or templates for this many examples"
    )
