"""The stages of hard, soft, all, pid and sid: which terms are active when, and when to move up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kdviz.method.settings import MethodSettings

STRATEGIES = ("hard", "soft", "all", "pid", "sid")
INTERNAL = ("all", "sid", "pid")  # in the order in which one of them speaks for all
STAGED = ("pid", "sid")


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
        words = {
            "none": "",
            "soft": "soft labels",
            "hard": "hard labels",
            "soft+hard": "soft and hard labels",
        }[self.classification]
        return " and ".join(part for part in (layers, words) if part)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the name."""
        return {"name": self.name, **asdict(self), "layers": list(self.layers)}

    def for_metrics(self) -> dict[str, Any]:
        """The form that stands in every train line of metrics.jsonl."""
        return {"layers": list(self.layers), "classification": self.classification}


def planned_stages(settings: MethodSettings) -> list[Stage]:
    """The stages of a run as planned (paper: section on strategies and Algorithm 1).

    `pid`: one pair at a time, then classification. `sid`: pair 1, then 1 and 2, …, then classification. Their
    default split gives each layer total // (layers + 1) epochs, and the last stage what is left.
    """
    labels = "soft+hard" if settings.hard_labels else "soft"
    layers = (
        tuple(sorted(settings.active_pairs))
        if settings.active_pairs
        else tuple(range(settings.student_layers))
    )
    if settings.strategy == "hard":
        return [Stage(layers=(), classification="hard", epochs=settings.epochs)]
    if settings.strategy == "soft":
        return [Stage(layers=(), classification=labels, epochs=settings.epochs)]
    if settings.strategy == "all":
        return [Stage(layers=layers, classification=labels, epochs=settings.epochs)]
    each = settings.epochs_per_layer or max(1, settings.epochs // (len(layers) + 1))
    internal = [
        Stage(
            layers=(layer,) if settings.strategy == "pid" else layers[: position + 1],
            classification=labels if settings.soft_throughout else "none",
            epochs=each,
            # A layer is finished when its loss is dropped: in pid with every move, in sid only before the
            # last stage.
            frozen_below=layers[position - 1] + 1
            if settings.freeze_finished and settings.strategy == "pid" and position
            else 0,
        )
        for position, layer in enumerate(layers)
    ]
    last = Stage(
        layers=(),
        classification=labels,
        epochs=settings.epochs - each * len(layers),
        frozen_below=layers[-1] + 1 if settings.freeze_finished else 0,
        only_classifier=settings.classifier_only_last,
    )
    return [*internal, last]


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
