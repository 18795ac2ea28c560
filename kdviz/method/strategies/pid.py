"""pid: progressive internal distillation (Aguilar et al., 2020): one matched pair at a time."""

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategy import Strategy, layer_by_layer, layers_of


def stages(settings: MethodSettings) -> list[Stage]:
    """Pair 1, then pair 2, …, then classification. A pair's loss is dropped with every move."""
    layers = layers_of(settings)
    return layer_by_layer(
        settings, [(layer,) for layer in layers], [0, *(layer + 1 for layer in layers[:-1])]
    )


STRATEGY = Strategy(
    name="pid",
    title="layer by layer",
    words="progressive: one matched layer at a time from the bottom up, then soft labels.",
    trained_on="the matched layers one after the other, then soft labels",
    stages=stages,
    uses_internal_terms=True,
    is_staged=True,
    colour="#CC79A7",
    dash="dashdot",
    symbol="triangle-up",
)
