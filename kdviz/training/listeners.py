"""Those who listen to a training: lines of its loss, and the distance that a threshold watches."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kdviz.errors import RunFailed
from kdviz.method.objective import Terms
from kdviz.training.events import Event, StageBegun, StepDone


class LossLines:
    """Writes a line with the mean of the terms every few steps, and at an epoch's end; the only place where
    losses leave the device in training.

    `write(last step, means by name, number of steps)`. RunFailed where the mean loss is no number: `advice`
    says what to do, `what` what diverged.
    """

    def __init__(
        self, every: int, write: Callable[[StepDone, dict[str, Any], int], None], *, what: str, advice: str
    ):
        self._every, self._write, self._what, self._advice = max(1, every), write, what, advice
        self._recent: list[Terms] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageBegun):
            self._recent.clear()
        if not isinstance(event, StepDone):
            return
        self._recent.append(event.terms)
        if event.step % self._every == 0 or event.ends_epoch:
            means = Terms.means(self._recent)
            self._write(event, means, len(self._recent))
            self._recent.clear()
            if not math.isfinite(means["total"]):
                raise RunFailed(f"{self._what} became {means['total']} at step {event.step}; {self._advice}")


class NewestDistance:
    """The mean CLS distance of a stage's newest layer over an epoch, for its threshold."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._num_examples = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone) and event.terms.newest_cls_distance is not None:
            self._sums.append(event.terms.newest_cls_distance * event.num_examples)
            self._num_examples += event.num_examples

    def take(self) -> float | None:
        """The mean over the examples since it was last taken; None where no step had one."""
        mean = float(torch.stack(self._sums).sum()) / self._num_examples if self._sums else None
        self._sums, self._num_examples = [], 0
        return mean
