"""The files a tokenizer is made of, whatever its kind: found, hashed and copied whole.

One that is left behind changes token ids without an error (added_tokens.json beside vocab.txt), so the list
is of everything that transformers' tokenizers of encoders read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from kdviz.files import Stamp, is_regular, json_bytes, stamp_of, write_bytes

TOKENIZER_JSON = "tokenizer.json"
TOKENIZERS = (
    TOKENIZER_JSON,
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
TOKENIZER_SETTINGS = "tokenizer_config.json"
SETTINGS = (TOKENIZER_SETTINGS, "special_tokens_map.json", "added_tokens.json")
"""What a tokenizer.json can be without."""
_OTHERS = (
    *SETTINGS,
    "merges.txt",
    "bpe.codes",
    "dict.txt",
    "emoji_tokenizer.json",
)
_NOT_COPIED = (
    "auto_map",
    "name_or_path",
    "tokenizer_file",
    "vocab_file",
    "merges_file",
    "special_tokens_map_file",
)
"""Keys of the settings: code that is never run (whoever loads the folder would be asked to), and
where things lay on the machine that made it.
"""
_LENGTH = "model_max_length"
Stamps = tuple[tuple[str, Stamp], ...]
"""(name, stamp) of files: what was read of them holds while these stay."""
_VERSIONED = re.compile(r"tokenizer\.[0-9][0-9.]*\.json")


def is_tokenizer_file(name: str) -> bool:
    """Whether a checkpoint's file of that name belongs to its tokenizer."""
    return name in TOKENIZERS or name in _OTHERS or bool(_VERSIONED.fullmatch(name))


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer's files in `folder`, by name; also a link that leads nowhere, which cannot be read."""
    return [path for path in sorted(folder.iterdir()) if is_tokenizer_file(path.name)]


def stamps_of(folder: Path) -> Stamps:
    """Those of the tokenizer's files in `folder` and of config.json, on which its kind depends."""
    files = [*tokenizer_files(folder), *folder.glob("config.json")]
    return tuple((path.name, stamp_of(path)) for path in files)


def copy_tokenizer(origin: Path, folder: Path, *, model_type: str, token_types: bool) -> None:
    """Copy the tokenizer's files, each whole or not at all, over what a kill may have left of them; their
    settings without what names the code or the disk of another machine, and with what makes transformers read
    the copy as it was read here, also beside a model of another family (`model_type`). Without `token_types`
    it is told to make none: that model would not take them, or fail on a second one.
    """
    from kdviz.data.tokenizer_reading import settings_of_copy

    contents = {path.name: path.read_bytes() for path in tokenizer_files(origin)}
    value = json.loads(contents.get(TOKENIZER_SETTINGS, b"{}"))
    kept = {key: item for key, item in value.items() if key not in _NOT_COPIED}
    if isinstance(kept.get(_LENGTH), str):  # transformers then fails at the first text
        kept |= _number(kept.pop(_LENGTH))
    kept |= settings_of_copy(origin, model_type=model_type, token_types=token_types)
    if kept != value:
        contents[TOKENIZER_SETTINGS] = json_bytes(kept)
    for name, content in contents.items():
        if not is_regular(folder / name) or (folder / name).read_bytes() != content:
            write_bytes(folder / name, content)


def _number(length: str) -> dict[str, int]:
    """The setting of a length that somebody wrote in quotation marks; none where it is no number."""
    try:
        return {_LENGTH: int(float(length))}
    except (ValueError, OverflowError):
        return {}
