"""Things that several students of one teacher need, made once for all of them."""

import contextlib
import math
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache
from torch import nn

T = TypeVar("T")


class Shared:
    """What students have in common that are trained together or one after the other, each thing made once:
    for the first that needs it, with `num_threads` torch threads (default: the student's own).
    `num_students` train at the same time.

    Of teachers and their outputs at most `kept_bytes` are kept, those last used.
    """

    def __init__(
        self, num_threads: int | None = None, *, kept_bytes: float = math.inf, num_students: int = 1
    ) -> None:
        self.num_threads, self.num_students = num_threads, num_students
        self._made: LRUCache[Hashable, Any] = LRUCache(kept_bytes, getsizeof=_bytes_of)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes, at the first call with this key."""
        if key in self._made:
            kept: T = self._made[key]
            return kept
        made = make()
        with contextlib.suppress(ValueError):  # larger than all that is kept
            self._made[key] = made
        return made


def _bytes_of(made: object) -> float:
    """The memory that a teacher or its outputs take; the rest is little. Outputs that are on disk, or not
    kept at all, count as too much: others may delete them.
    """
    if isinstance(made, nn.Module):
        return sum(parameter.nbytes for parameter in made.parameters())
    return getattr(made, "memory_bytes", 0) or (math.inf if hasattr(made, "memory_bytes") else 0)
