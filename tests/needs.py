"""What tests want of a model, in one line."""

from collections.abc import Iterable

from kdviz.method.targets import Needs


def needs_of(*, logits: bool = True, **layers: Iterable[int]) -> Needs:
    """Needs by reading: `needs_of(cls=[1], maps=range(3))`."""
    readings = frozenset((name, layer) for name, chosen in layers.items() for layer in chosen)
    return Needs(logits=logits, readings=readings)
