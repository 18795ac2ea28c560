"""sid: stacked internal distillation (Aguilar et al., 2020, Algorithm 1): one matched pair more at a time."""

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategy import Strategy, layer_by_layer, layers_of


def stages(settings: MethodSettings) -> list[Stage]:
    """Pair 1, then 1 and 2, …, then classification. No pair's loss is dropped before the last stage."""
    layers = layers_of(settings)
    return layer_by_layer(settings, [layers[: place + 1] for place in range(len(layers))], [0] * len(layers))


STRATEGY = Strategy(
    name="sid",
    title="stacked",
    words="layer 1, then 1 and 2, and so on upwards, then soft labels.",
    trained_on="the matched layers stacked, one more at a time, then soft labels",
    stages=stages,
    uses_internal_terms=True,
    is_staged=True,
    colour="#0072B2",
    dash="longdash",
    symbol="diamond",
)
