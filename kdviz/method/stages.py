"""Stages: stretches of training with other terms, and when a run moves up. Whose they are: `strategies/`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

LABEL_WORDS = {
    "none": "",
    "soft": "soft labels",
    "hard": "hard labels",
    "soft+hard": "soft and hard labels",
}
"""A stage's classification term in words."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training with a fixed set of active layers and a fixed classification term.

    `layers`: student layers (0-based) whose matched pairs are active. `classification`: none, soft, hard or
    soft+hard. `epochs`: planned; a threshold may end an internal stage earlier, and the last stage takes what
    is left. `frozen_below`: embeddings and student layers below this number are not trained (0: all are
    trained). `only_classifier`: nothing but pooler and classifier is trained.
    """

    layers: tuple[int, ...]
    classification: str
    epochs: int
    frozen_below: int = 0
    only_classifier: bool = False

    @property
    def newest_layer(self) -> int | None:
        """The layer whose CLS distance decides on moving up; None in a stage without internal terms."""
        return max(self.layers) if self.layers else None

    def num_layers_needed(self, num_student_layers: int) -> int:
        """Student layers a step of this stage has to run: to the highest active one, or all for
        classification.
        """
        return num_student_layers if self.classification != "none" else max(self.layers) + 1

    @property
    def name(self) -> str:
        """Short text for screens and plans, layers 1-based."""
        layers = (
            "layers " + " + ".join(str(layer + 1) for layer in self.layers)
            if len(self.layers) > 1
            else f"layer {self.layers[0] + 1}"
            if self.layers
            else ""
        )
        return " and ".join(part for part in (layers, LABEL_WORDS[self.classification]) if part)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the name."""
        return {"name": self.name, **asdict(self), "layers": list(self.layers)}

    def for_metrics(self) -> dict[str, Any]:
        """The form that stands in every train line of metrics.jsonl."""
        return {"layers": list(self.layers), "classification": self.classification}


class StageSchedule:
    """Where a run stands among its stages. Moves up after a stage's epochs or below the threshold, whichever
    is first.

    The total of epochs never changes: what a threshold saves goes to the last stage.
    """

    def __init__(
        self, stages: Sequence[Stage], threshold: float | None, *, index: int = 0, epochs_in_stage: int = 0
    ):
        self.stages, self.threshold = tuple(stages), threshold
        self.index, self.epochs_in_stage = index, epochs_in_stage

    @property
    def current(self) -> Stage:
        return self.stages[self.index]

    def epoch_ended(self, newest_cls_distance: float | None) -> bool:
        """Count one epoch; True where the next stage begins now. The distance is the newest layer's mean in
        that epoch.
        """
        self.epochs_in_stage += 1
        if self.index == len(self.stages) - 1:
            return False
        close = (
            self.threshold is not None
            and newest_cls_distance is not None
            and newest_cls_distance < self.threshold
        )
        if self.epochs_in_stage < self.current.epochs and not close:
            return False
        self.index, self.epochs_in_stage = self.index + 1, 0
        return True
