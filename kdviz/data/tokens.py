"""Tokens as people read them, and which of them stand for no text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

SPACE = "␣"
"""A token that is nothing but a space."""


_BEFORE_MARKS = ("[CLS]", "[SEP]", "<s>", "</s>")


class SpecialToken(str):
    """A token that the tokenizer puts around the texts: [CLS] and [SEP], or <s> and </s>."""

    __slots__ = ()


def marked(tokens: Sequence[str], special: Collection[int]) -> tuple[str, ...]:
    """`tokens`, with those at the places `special` marked as special."""
    return tuple(SpecialToken(token) if place in special else token for place, token in enumerate(tokens))


def are_special(tokens: Sequence[str]) -> list[bool]:
    """Which tokens are special: those that are marked. Runs of former versions have marked none."""
    found = [isinstance(token, SpecialToken) for token in tokens]
    return found if any(found) else [token in _BEFORE_MARKS for token in tokens]


def readable(tokens: Sequence[str], decoder: object | None) -> list[str]:
    """The piece of text that each token stands for, without marks of spaces and without bytes in disguise
    (RoBERTa's "Ġdog" is dog). WordPiece's ## stays: it tells a part of a word from a word. A token that is
    only part of a letter stays as it is.
    """
    if decoder is None or type(decoder).__name__ == "WordPiece":
        return list(tokens)
    pieces = []
    for token in tokens:
        piece = decoder.decode([token])
        pieces.append(token if "\ufffd" in piece else piece.strip() or SPACE)
    return pieces
