"""hard: the labels alone, the baseline without distillation."""

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategy import Strategy


def stages(settings: MethodSettings) -> list[Stage]:
    """One stage of hard labels."""
    return [Stage(layers=(), classification="hard", epochs=settings.epochs)]


STRATEGY = Strategy(
    name="hard",
    title="labels only",
    words="no teacher, the baseline.",
    trained_on="the labels alone (no distillation)",
    stages=stages,
    uses_internal_terms=False,
    uses_teacher=False,
    colour="#7F7F7F",
    dash="dash",
    symbol="x",
)
