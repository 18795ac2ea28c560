"""One labelled sentence or sentence pair, the unit every source yields."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Example:
    """A row of a GLUE-style split.

    `index` is the 0-based row in its split (header not counted), also in a subset. `text_b` is None for
    single-sentence tasks. `label` is the hub's class id. `phenomenon` is known for sample data only.
    """

    index: int
    text_a: str
    text_b: str | None
    label: int
    phenomenon: str | None = None
