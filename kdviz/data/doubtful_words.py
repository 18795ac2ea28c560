"""Signs that a tokenizer does not fit its vocabulary or the texts, to be seen before training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from kdviz.data.examples import Example
from kdviz.data.tokenizer_files import Stamps, stamps_of
from kdviz.files import object_in

MOST_UNKNOWN = 0.05
MOST_CAPITALS = 0.05
MOST_SPARE_ROWS, MOST_SPARE_SHARE = 1024, 0.05
"""Rows of a table that no word has: tables are rounded up, and leave room for a few words more."""
NUM_LOOKED_AT = 256


def doubts(folder: Path, examples: Sequence[Example]) -> tuple[str, ...]:
    """What to be warned of, a sentence each: of the first NUM_LOOKED_AT `examples` more than MOST_UNKNOWN of
    the tokens are unknown; texts are put in lower case and more than MOST_CAPITALS of the vocabulary has
    capitals; the table has many rows that no word has. Asks for transformers. RequestError where the
    tokenizer cannot be built.
    """
    texts = tuple((example.text_a, example.text_b) for example in examples[:NUM_LOOKED_AT])
    return _doubts(folder, texts, stamps_of(folder))


@lru_cache(maxsize=64)
def _doubts(folder: Path, texts: tuple[tuple[str, str | None], ...], stamps: Stamps) -> tuple[str, ...]:
    from kdviz.data.encoded import Tokenizer

    tokenizer = Tokenizer(folder, 512)
    found = []
    ids = [number for pair in texts for number in tokenizer.encode(*pair)[0]]
    unknown = ids.count(tokenizer.unknown_id) / max(1, len(ids))
    if unknown > MOST_UNKNOWN:
        found.append(
            f"{unknown:.0%} of the tokens of the training examples are unknown to the tokenizer: the models "
            "cannot tell these words apart. Choose a checkpoint for such texts, or look at do_lower_case in "
            "its tokenizer_config.json."
        )
    words = [word for word in tokenizer.vocabulary if word.isascii() and word.isalpha()]
    capitals = sum(word != word.lower() for word in words) / max(1, len(words))
    if capitals > MOST_CAPITALS and tokenizer.encode("THE Dog")[0] == tokenizer.encode("the dog")[0]:
        found.append(
            f"The tokenizer puts texts in lower case, and {capitals:.0%} of its vocabulary's words have "
            "capitals: those are never used. If its checkpoint is a cased one, its tokenizer must keep them; "
            "where it has no tokenizer.json that says so, set do_lower_case to false in its "
            "tokenizer_config.json."
        )
    rows, num_words = object_in(folder / "config.json").get("vocab_size", 0), len(tokenizer.vocabulary)
    if rows - num_words > max(MOST_SPARE_ROWS, MOST_SPARE_SHARE * rows):
        found.append(
            f"The tokenizer has {num_words:,} words, and the model's table {rows:,} rows: the others are "
            "never used. Some models were published so; else its vocabulary is cut, or another model's."
        )
    return tuple(found)
