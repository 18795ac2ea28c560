"""all: soft labels and all matched layers, in every epoch."""

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategy import Strategy, labels_of, layers_of


def stages(settings: MethodSettings) -> list[Stage]:
    """One stage of everything."""
    return [
        Stage(layers=layers_of(settings), classification=labels_of(settings), epochs=settings.epochs),
    ]


STRATEGY = Strategy(
    name="all",
    title="all layers at once",
    words="soft labels and every matched layer, from the first epoch to the last.",
    trained_on="soft labels together with the matched layers",
    stages=stages,
    uses_internal_terms=True,
    colour="#009E73",
    dash="solid",
    symbol="square",
)
