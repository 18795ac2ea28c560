"""What a training tells while it goes on. Whoever wants to know listens: writer, clock, probes."""

from collections.abc import Callable
from dataclasses import dataclass

from kdviz.method.objective import Terms
from kdviz.method.stages import Stage


@dataclass(frozen=True, kw_only=True)
class StageBegun:
    """The stage of that place among the stages begins, after `step` steps and `epoch` whole epochs."""

    step: int
    epoch: int
    index: int
    stage: Stage


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """A step was taken, the `step`-th (1-based): its terms without their graph, and over how many examples.
    `ends_epoch`: it was the last of its epoch.
    """

    step: int
    terms: Terms
    learning_rate: float
    num_examples: int
    ends_epoch: bool


@dataclass(frozen=True, kw_only=True)
class MomentDue:
    """After that many steps the probes' maps are to be stored."""

    step: int


@dataclass(frozen=True, kw_only=True)
class EpochDone:
    """All steps of an epoch were taken; nothing of it is on the disk yet."""

    step: int


Event = StageBegun | StepDone | MomentDue | EpochDone
Listener = Callable[[Event], None]
