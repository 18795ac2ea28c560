"""Whether a text holds anything that can be seen."""

import regex

_VISIBLE = regex.compile(r"[^\p{Default_Ignorable_Code_Point}\p{Z}\p{Cc}\p{Cf}\p{Cs}\u2800]")
"""Not a space, a control or format character, half of a pair, or what Unicode lets a screen leave out
(joiners, fillers, variation selectors); nor the Braille pattern without a dot.
"""


def has_visible(text: str | None) -> bool:
    """Whether `text` has a character that can be seen: a model answers one without as readily, and whoever
    looks at the answer sees no sentence to it.
    """
    return bool(text and _VISIBLE.search(text))
