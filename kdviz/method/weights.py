"""How much each part of the loss counts: what a step sums up, and what a page writes before the part."""

from kdviz.method.settings import MethodSettings
from kdviz.method.strategies import planned_stages
from kdviz.method.terms import TERMS


def part_weights(settings: MethodSettings, classification: str) -> dict[str, float]:
    """The weight of every part by its name in metrics.jsonl ("soft", "hard", an internal term's key), in a
    stage of this classification. λ is for labels that stand beside soft ones: alone they count in full.
    """
    internal = {term.key: settings.weight_of(term.name) for term in TERMS.values()}
    return internal | label_weights(settings.soft_weight, settings.hard_weight, classification)


def label_weights(soft_weight: float, hard_weight: float, classification: str) -> dict[str, float]:
    """Those of the two classification losses."""
    return {"soft": soft_weight, "hard": hard_weight if "soft" in classification else 1.0}


def idle_weights(settings: MethodSettings) -> tuple[str, str] | None:
    """The stage in whose loss nothing counts, and one of the weights that are 0; None where every stage has
    something to learn.
    """
    for stage in planned_stages(settings):
        weights = part_weights(settings, stage.classification)
        named = {part: f"{part}_weight" for part in ("soft", "hard") if part in stage.classification}
        if stage.layers:
            named |= {TERMS[term].key: f"{term}_weight" for term in settings.terms}
        if named and not any(weights[part] > 0 for part in named):
            return stage.name, next(iter(named.values()))
    return None
