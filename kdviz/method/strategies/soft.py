"""soft: the teacher's probabilities alone (Hinton et al., 2015)."""

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategy import Strategy, labels_of


def stages(settings: MethodSettings) -> list[Stage]:
    """One stage of soft labels."""
    return [Stage(layers=(), classification=labels_of(settings), epochs=settings.epochs)]


STRATEGY = Strategy(
    name="soft",
    title="soft labels",
    words="the teacher's probabilities; nothing inside is compared.",
    trained_on="the teacher's probabilities (soft labels)",
    stages=stages,
    uses_internal_terms=False,
    colour="#56B4E9",
    dash="dot",
    symbol="circle",
)
