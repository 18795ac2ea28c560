"""How a checkpoint's tokenizer is read, so that a copy of its files elsewhere is read in the same way.

transformers builds the tokenizers of BERT, RoBERTa and others from their class: of a tokenizer.json it takes
vocabulary, merges and the tokens around a text, while lower case, accents and the splitting into words are
the class' defaults. A tokenizer.json that says otherwise is read as it stands (`settings_to_read_as_is`), and
so is a copy of it whose tokenizer_config.json has these settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdviz.data.tokenizer_files import TOKENIZER_JSON, TOKENIZER_SETTINGS, Stamps, stamps_of
from kdviz.files import object_in

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

READ_AS_IS = "PreTrainedTokenizerFast"
"""The class of transformers that adds nothing to a tokenizer.json."""

_TEXTS = (
    ("The Dog sees São Paulo's café.", None),
    ("  A  child,\tÉCOLE 東京 (it seems): 3.5% of U.S. don't!\n", None),
    ("In 1998, 12,500 people @home #read x_y http://a.b/c: ½ ﬁne Ａ №, Привет Йод, 한국어 😀.", None),
    ("the dog sees the cat", "Why does THE doctor like Zoë?"),
)
_NAMES = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token", "bos_token", "eos_token")
_OVERRULED = {
    "BertNormalizer": {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    },
    "ByteLevel": {"add_prefix_space": "add_prefix_space"},
}
"""By part of a tokenizer.json: what tokenizer_config.json calls a setting of it, and what the part does."""


class Contradiction(ValueError):
    """Two files of one tokenizer say contrary things, in one line."""


def num_segments(folder: Path) -> int:
    """How many token types the model beside a tokenizer has: 1 where its family takes none."""
    from transformers import CONFIG_MAPPING

    config = object_in(folder / "config.json")
    kind = config.get("model_type")
    default = getattr(CONFIG_MAPPING[kind](), "type_vocab_size", None) if kind in CONFIG_MAPPING else 2
    return 1 if default is None else config.get("type_vocab_size", default)


def added_ids(folder: Path) -> set[int]:
    """The ids of the tokens that the files of a tokenizer add to its vocabulary."""
    listed = object_in(folder / TOKENIZER_JSON).get("added_tokens") or []
    decoder = object_in(folder / TOKENIZER_SETTINGS).get("added_tokens_decoder") or {}
    beside = object_in(folder / "added_tokens.json")
    return {int(number) for number in (*beside.values(), *decoder, *(about["id"] for about in listed))}


def settings_of_copy(origin: Path, *, model_type: str, token_types: bool) -> dict[str, Any]:
    """What tokenizer_config.json of a copy must say, beside a model of `model_type`, so that transformers
    makes the ids and token types of the tokenizer in `origin`: another family has another class, and it makes
    types by its class. Without `token_types` it makes none.
    """
    found: dict[str, Any] = {}
    made = _made(origin, stamps_of(origin))
    if made and object_in(origin / "config.json").get("model_type") != model_type:
        found["tokenizer_class"] = made.class_name
    found |= settings_to_read_as_is(origin) or {}
    makes_none = made and not made.token_types and "model_input_names" not in found
    if not token_types or makes_none or num_segments(origin) == 1:
        found["model_input_names"] = ["input_ids", "attention_mask"]
    return found


@dataclass(frozen=True)
class _Made:
    """The class of what transformers makes of a folder, and whether that makes token types."""

    class_name: str
    token_types: bool


@lru_cache(maxsize=64)
def _made(folder: Path, stamps: Stamps) -> _Made | None:
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:  # whoever builds it says what is wrong
        return None
    return _Made(type(made).__name__, _makes_token_types(made))


def settings_to_read_as_is(folder: Path) -> dict[str, Any] | None:
    """The settings (tokenizer_class, names of special tokens, what is made beside ids) under which the
    tokenizer.json in `folder` is read as it stands, where transformers would read it otherwise; None where it
    does not, or there is none.

    What tokenizer_config.json says itself (do_lower_case, add_prefix_space and their like) holds against
    tokenizer.json, in every version of transformers. Contradiction where it says something that transformers
    does not make of it either.
    """
    return _settings(folder, stamps_of(folder))


@lru_cache(maxsize=64)
def _settings(folder: Path, stamps: Stamps) -> dict[str, Any] | None:
    if not (folder / TOKENIZER_JSON).is_file():
        return None
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    try:
        written = Tokenizer.from_file(str(folder / TOKENIZER_JSON))
        made = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:  # whoever builds it says what is wrong
        return None
    if not made.is_fast or agree(made, written):
        return None
    content = json.loads(written.to_str())
    told = _apply(object_in(folder / TOKENIZER_SETTINGS), content)
    if told:
        if agree(made, Tokenizer.from_str(json.dumps(content))):
            return None
        raise Contradiction(
            f"{TOKENIZER_SETTINGS} says {told[0]}, {TOKENIZER_JSON} the contrary, and transformers reads it "
            "in a third way; make the two agree"
        )
    names: dict[str, Any] = _names(made, written, object_in(folder / "config.json"))
    says = object_in(folder / TOKENIZER_SETTINGS).get("model_input_names")
    if (says is None or _makes_token_types(made)) and (num_segments(folder) or 1) > 1:
        # READ_AS_IS makes no token types by itself: a model with two segments would be given one.
        names["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    return {"tokenizer_class": READ_AS_IS, **names}


def _makes_token_types(made: PreTrainedTokenizerBase) -> bool:
    return "token_type_ids" in made.model_input_names


def agree(made: PreTrainedTokenizerBase, written: Tokenizer) -> bool:
    """Whether both make the same ids of some texts; without the tokens around a text where tokenizer.json
    does not say which (its class then does).
    """
    written.no_padding()
    written.no_truncation()
    around = written.num_special_tokens_to_add(False) > 0
    try:
        return all(
            made(*texts, add_special_tokens=around, verbose=False)["input_ids"]
            == written.encode(*texts, add_special_tokens=around).ids
            for texts in _TEXTS
        )
    except Exception:  # a class' unknown word that is not in this vocabulary, a template that does not fit
        return False


def _apply(settings: Mapping[str, Any], content: dict[str, Any]) -> list[str]:
    """Change a tokenizer.json's `content` to what `settings` say of it; which of them say something else."""
    changed = []
    for whole, inner in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers")):
        part = content.get(whole) or {}
        for piece in (part, *part.get(inner, ())):
            for ours, theirs in _OVERRULED.get(piece.get("type"), {}).items():
                if ours in settings and settings[ours] != piece.get(theirs):
                    piece[theirs] = settings[ours]
                    changed.append(f"{ours}: {json.dumps(settings[ours])[:40]}")
    return changed


def _names(made: PreTrainedTokenizerBase, written: Tokenizer, config: Mapping[str, Any]) -> dict[str, str]:
    """What the special tokens are called: as the class has it where tokenizer.json has such a token, else
    what it puts around a text, what it takes for unknown words, and what config.json pads with.
    """
    named = {name: str(getattr(made, name, None)) for name in _NAMES}
    names = {name: token for name, token in named.items() if written.token_to_id(token) is not None}
    around, pad = written.encode("").tokens, config.get("pad_token_id")
    others = {
        "cls_token": around[0] if around else None,
        "sep_token": around[-1] if around else None,
        "unk_token": getattr(written.model, "unk_token", None),
        "pad_token": written.id_to_token(pad) if isinstance(pad, int) and pad >= 0 else None,
    }
    return {name: token for name, token in others.items() if token} | names
