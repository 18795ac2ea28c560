"""What a strategy is: its stages, and how it is called and drawn.

Free of torch at import, so that settings and pages can read the registry (`kdviz.method.strategies`) at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way to distil: which terms are active when.

    `name` is how it is asked for (`--strategy`) and its code in files; `title` what screens call it; `words`
    say it to whoever chooses it, after the name and a colon; `trained_on` completes "Distilled by `name`:".

    `stages` of a run's settings: together they last `settings.epochs`, each at least one.
    `uses_internal_terms`: matched pairs of layers are compared. `is_staged`: it moves up layer by layer, so
    that the settings of stages (epochs of each layer, threshold, freezing) have a meaning. `uses_teacher`:
    something of the teacher is trained on.

    `colour` (`#RRGGBB`), `dash` and `symbol` (plotly's names) are its own in every chart.
    """

    name: str
    title: str
    words: str
    trained_on: str
    stages: Callable[[MethodSettings], list[Stage]]
    uses_internal_terms: bool
    is_staged: bool = False
    uses_teacher: bool = True
    colour: str
    dash: str
    symbol: str


def labels_of(settings: MethodSettings) -> str:
    """The classification term of a stage that learns from the teacher's answers."""
    return "soft+hard" if settings.hard_labels else "soft"


def layers_of(settings: MethodSettings) -> tuple[int, ...]:
    """The student layers whose matched pairs are asked for, the lowest first."""
    if settings.active_pairs:
        return tuple(sorted(settings.active_pairs))
    return tuple(range(settings.student_layers))


def layer_by_layer(
    settings: MethodSettings, active: Sequence[tuple[int, ...]], frozen_below: Sequence[int]
) -> list[Stage]:
    """A stage for each of `active` (student layers), then one of classification alone.

    Each of the former gets total // (number of stages) epochs unless the settings say how many, the last
    stage what is left. `frozen_below` (one for each of `active`): below it layers are finished, since their
    loss is dropped; they are frozen where that is asked for.
    """
    labels, each = labels_of(settings), settings.epochs_per_layer
    each = each or max(1, settings.epochs // (len(active) + 1))
    internal = [
        Stage(
            layers=layers,
            classification=labels if settings.soft_throughout else "none",
            epochs=each,
            frozen_below=finished if settings.freeze_finished else 0,
        )
        for layers, finished in zip(active, frozen_below, strict=True)
    ]
    last = Stage(
        layers=(),
        classification=labels,
        epochs=settings.epochs - each * len(active),
        frozen_below=max(layers_of(settings)) + 1 if settings.freeze_finished else 0,
        only_classifier=settings.classifier_only_last,
    )
    return [*internal, last]
