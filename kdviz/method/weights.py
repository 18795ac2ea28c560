"""How much each part of the loss counts: what a step sums up, and what a page writes before the part."""

from kdviz.method.settings import MethodSettings
from kdviz.method.terms import TERMS


def part_weights(settings: MethodSettings, classification: str) -> dict[str, float]:
    """The weight of every part by its name in metrics.jsonl ("soft", "hard", an internal term's key), in a
    stage of this classification. λ is for labels that stand beside soft ones: alone they count in full.
    """
    internal = {term.key: settings.weight_of(term.name) for term in TERMS.values()}
    return internal | {
        "soft": settings.soft_weight,
        "hard": settings.hard_weight if "soft" in classification else 1.0,
    }
