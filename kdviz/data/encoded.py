"""Tokenised sets: ragged arrays on disk and in memory, padded only when a batch is made."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from kdviz.data.examples import Example
from kdviz.data.tokenizer_files import SETTINGS, TOKENIZER_JSON, tokenizer_files
from kdviz.data.tokenizer_reading import (
    Contradiction,
    added_ids,
    num_segments,
    settings_to_read_as_is,
)
from kdviz.data.tokens import marked, readable
from kdviz.errors import RequestError, one_line
from kdviz.files import object_in, write_arrays

WINDOW_BATCHES = 50
TEXTS_AT_ONCE = 256
"""What is cut off comes back too, for a pair every piece of one text with every piece of the other: RTE cut
to 8 tokens takes 2 GB where all of it is given at once.
"""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A padded batch: inputs (batch, seq), labels (batch,), and the examples' positions in their set
    (batch,).
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    labels: Tensor
    positions: np.ndarray
    made: dict = field(default_factory=dict)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` makes from this batch, once for all who ask (students that are trained together)."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.input_ids, self.attention_mask, self.token_type_ids

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        if device.type == "cpu":
            return self
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("input_ids", "attention_mask", "token_type_ids", "labels")
        }
        return Batch(**moved, positions=self.positions)


@dataclass(frozen=True, kw_only=True)
class EncodedSet:
    """Tokenised examples, unpadded and end to end.

    `tokens` and `types` (total tokens,), `offsets` (n + 1,), `labels` and `index` (n,); `index` is the
    example's row in its split. `fingerprint` names the content: tokenizer, length and texts. `pad_id` fills
    batches up.
    """

    tokens: np.ndarray
    types: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    num_truncated: int
    fingerprint: str
    pad_id: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @property
    def ids_in_batches(self) -> np.ndarray:
        """Every token id that a batch can hold: those of the texts, and the padding."""
        return np.union1d(self.tokens, [self.pad_id])

    def batch(self, positions: np.ndarray, *, min_length: int = 0) -> Batch:
        """The examples at `positions`, padded to the longest of them (or `min_length`)."""
        lengths = self.lengths[positions]
        width = max(int(lengths.max()), min_length)
        input_ids = np.full((len(positions), width), self.pad_id, dtype=np.int64)
        token_type_ids = np.zeros_like(input_ids)
        for row, (position, length) in enumerate(zip(positions, lengths)):
            begin = self.offsets[position]
            input_ids[row, :length] = self.tokens[begin : begin + length]
            token_type_ids[row, :length] = self.types[begin : begin + length]
        mask = np.arange(width) < lengths[:, None]
        return Batch(
            input_ids=torch.from_numpy(input_ids),
            attention_mask=torch.from_numpy(mask.astype(np.int64)),
            token_type_ids=torch.from_numpy(token_type_ids),
            labels=torch.from_numpy(self.labels[positions].astype(np.int64)),
            positions=positions,
        )

    def training_order(self, *, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch as arrays of positions: random, yet each of similar lengths.

        The shuffled set is cut into windows of WINDOW_BATCHES batches; within a window examples are sorted by
        length and cut into batches; the batches are shuffled. Every example occurs once. A function of (seed,
        epoch) alone, so that a resumed run sees the same order.
        """
        rng = np.random.default_rng([seed, epoch, 0x6B64])
        order = rng.permutation(len(self))
        window = batch_size * WINDOW_BATCHES
        batches = []
        for begin in range(0, len(order), window):
            part = order[begin : begin + window]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[start : start + batch_size] for start in range(0, len(part), batch_size)]
        return [batches[number] for number in rng.permutation(len(batches))]

    def evaluation_batches(self, max_tokens: int = 4096) -> Iterator[np.ndarray]:
        """Arrays of positions from the longest to the shortest example, at most `max_tokens` padded tokens
        each.
        """
        order = np.argsort(-self.lengths, kind="stable")
        begin = 0
        while begin < len(order):
            size = max(1, max_tokens // int(self.lengths[order[begin]]))
            yield order[begin : begin + size]
            begin += size


class RecentBatches:
    """Makes batches of a set on a device and remembers the last few, for students in the same order."""

    def __init__(self, encoded: EncodedSet, device: torch.device, count: int):
        self._encoded, self._device, self._count = encoded, device, count
        self._made: dict[bytes, Batch] = {}
        self._guard = threading.Lock()

    def of(self, positions: np.ndarray) -> Batch:
        """The batch of the examples at these positions."""
        key = positions.tobytes()
        with self._guard:
            batch = self._made.get(key)
            if batch is None:
                batch = self._made[key] = self._encoded.batch(positions).to(self._device)
            while len(self._made) > self._count:
                self._made.pop(next(iter(self._made)))
            return batch


class Tokenizer:
    """The checkpoint's own tokenizer, for encoding sets and single texts.

    `pad_id`: what batches are filled up with. `num_segments`: how many token types the model has; those of a
    pair are 0 and 1 only where it has both and the tokenizer tells them apart. RequestError where the
    tokenizer cannot be built.
    """

    def __init__(self, folder: Path, max_length: int, *, field: str = "teacher"):
        import transformers

        self._tokenizer = _built(folder, field)
        self.max_length, self.folder = max_length, folder
        self.num_segments = num_segments(folder)
        pads = (self._tokenizer.pad_token_id, object_in(folder / "config.json").get("pad_token_id"), 0)
        self.pad_id = next(pad for pad in pads if isinstance(pad, int) and pad >= 0)
        how = (
            max_length,
            self.num_segments,
            self.pad_id,
            type(self._tokenizer).__name__,
            self._tokenizer.model_input_names,
            transformers.__version__,
        )
        digest = hashlib.sha256(repr(how).encode())
        # What was built of the files, not the files: config.json and transformers decide on that too.
        digest.update(self._tokenizer.backend_tokenizer.to_str().encode("utf-8", "surrogatepass"))
        self.fingerprint = digest.hexdigest()[:16]

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token with its id, added ones too."""
        return self._tokenizer.get_vocab()

    @property
    def made_up(self) -> set[int]:
        """Ids of the tokens that are in none of the folder's files: transformers gave them the numbers behind
        the vocabulary.
        """
        own = self._tokenizer.backend_tokenizer.get_vocab_size(with_added_tokens=False)
        return {number for number in self.vocabulary.values() if number >= own} - added_ids(self.folder)

    @property
    def special_ids(self) -> set[int]:
        """Ids of the tokens that stand for no text: the frame, padding, what is unknown or masked."""
        return set(self._tokenizer.all_special_ids)

    @property
    def made_by_merges(self) -> tuple[int, int]:
        """How many of a BPE's words of several signs its merges make, and of how many; (0, 0) of any other
        kind, and of one that looks words up whole.
        """
        model = json.loads(self._tokenizer.backend_tokenizer.to_str())["model"]
        if model["type"] != "BPE" or model.get("ignore_merges"):
            return 0, 0
        prefix = model.get("continuing_subword_prefix") or ""
        made = {left + right.removeprefix(prefix) for left, right in model["merges"]}
        long = {word for word in model["vocab"] if len(word.removeprefix(prefix)) > 1}
        return len(long & made), len(long)

    @property
    def kind(self) -> str:
        """How words become tokens: WordPiece, BPE, Unigram or WordLevel."""
        return type(self._tokenizer.backend_tokenizer.model).__name__

    @property
    def dropout(self) -> float | None:
        """The share of merges that are left out at random; None where a text has the same tokens always."""
        share: float | None = getattr(self._tokenizer.backend_tokenizer.model, "dropout", None)
        return share

    @property
    def unknown_id(self) -> int | None:
        """The id of what is in no vocabulary; None where everything is (bytes)."""
        return self._tokenizer.unk_token_id

    def encode(self, text_a: str, text_b: str | None = None) -> tuple[list[int], list[int], bool]:
        """Token ids, token types, and whether the text was cut to `max_length`."""
        encoded = self._encoded([text_a], None if text_b is None else [text_b])
        ids, types = encoded["input_ids"], encoded.get("token_type_ids")
        return ids[0], self._types(types[0] if types else None, len(ids[0])), len(ids) > 1

    def _encoded(self, texts_a: list[str], texts_b: list[str] | None) -> dict:
        """Of lists alone: transformers takes an empty second text that comes by itself for none."""
        return self._tokenizer(
            texts_a,
            texts_b,
            truncation=True,
            max_length=self.max_length,
            return_overflowing_tokens=True,
            verbose=False,
        )

    def _types(self, types: Sequence[int] | None, length: int) -> list[int]:
        """Token types that the model has: 0 everywhere where it or the tokenizer knows one segment only."""
        if not types or max(types) >= self.num_segments:
            return [0] * length
        return list(types)

    def tokens(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The tokens as people read them, special ones marked (`kdviz.data.tokens`)."""
        names = ("cls", "sep", "bos", "eos", "pad")
        around = {getattr(self._tokenizer, f"{name}_token_id") for name in names}
        tokens = self._tokenizer.convert_ids_to_tokens([int(number) for number in ids])
        special = [place for place, number in enumerate(ids) if number in around]
        decoder = self._tokenizer.backend_tokenizer.decoder
        read = [
            token if place in special else readable([token], decoder)[0] for place, token in enumerate(tokens)
        ]
        return marked(read, special)

    def encode_set(
        self,
        examples: Sequence[Example],
        cache_folder: Path | None = None,
        *,
        tick: Callable[[], None] = lambda: None,
    ) -> EncodedSet:
        """Tokenise `examples`; with `cache_folder`, once per content (texts, tokenizer, length). `tick` is
        called now and then and may raise.
        """
        digest = hashlib.sha256(self.fingerprint.encode())
        for example in examples:
            digest.update(
                f"{example.index}\x1f{example.label}\x1f{example.text_a}\x1f{example.text_b}\x1e".encode(
                    "utf-8", "surrogatepass"
                )
            )
        fingerprint = digest.hexdigest()[:16]
        path = cache_folder / f"{fingerprint}.safetensors" if cache_folder else None
        kept = _read_set(path, fingerprint, self.pad_id) if path else None
        if kept is not None and len(kept) == len(examples):
            return kept
        encoded = self._encode_all(examples, fingerprint, tick)
        if path:
            arrays = {
                "tokens": encoded.tokens,
                "types": encoded.types,
                "offsets": encoded.offsets,
                "labels": encoded.labels,
                "index": encoded.index,
                "num_truncated": np.array([encoded.num_truncated]),
            }
            write_arrays(path, arrays, {"sha256": _sum_of(arrays)})
        return encoded

    def _encode_all(
        self, examples: Sequence[Example], fingerprint: str, tick: Callable[[], None]
    ) -> EncodedSet:
        tokens, types, lengths, num_truncated = [], [], [0], 0
        for begin in range(0, len(examples), TEXTS_AT_ONCE):
            tick()
            part = examples[begin : begin + TEXTS_AT_ONCE]
            texts_b = [example.text_b for example in part] if part[0].text_b is not None else None
            texts_a = [example.text_a for example in part]
            encoded = self._encoded(texts_a, texts_b)
            type_ids = encoded.get("token_type_ids")
            owner = np.asarray(encoded["overflow_to_sample_mapping"])
            firsts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
            num_truncated += int((np.bincount(owner) > 1).sum())
            for row in firsts:
                tokens.append(np.asarray(encoded["input_ids"][row], dtype=np.int32))
                of_row = self._types(type_ids[row] if type_ids else None, len(tokens[-1]))
                types.append(np.asarray(of_row, dtype=np.uint8))
                lengths.append(len(tokens[-1]))
        return EncodedSet(
            tokens=np.concatenate(tokens),
            types=np.concatenate(types),
            offsets=np.cumsum(lengths),
            labels=np.array([example.label for example in examples], dtype=np.int32),
            index=np.array([example.index for example in examples], dtype=np.int32),
            num_truncated=num_truncated,
            fingerprint=fingerprint,
            pad_id=self.pad_id,
        )


def _read_set(path: Path, fingerprint: str, pad_id: int) -> EncodedSet | None:
    """The set in a file; None where there is none or a damaged one (it is then encoded again)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            if (file.metadata() or {}).get("sha256") != _sum_of(arrays):
                return None  # a lost bit is another word
        kept = EncodedSet(
            **{**arrays, "num_truncated": int(arrays["num_truncated"][0])},
            fingerprint=fingerprint,
            pad_id=pad_id,
        )
    except (OSError, SafetensorError, KeyError, TypeError):
        return None
    return (
        kept
        if len(kept.offsets) == len(kept) + 1 and kept.offsets[-1] == len(kept.tokens) == len(kept.types)
        else None
    )


def _sum_of(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _built(folder: Path, field: str):
    """The tokenizer as transformers builds it from `folder`, or from its tokenizer.json alone where it would
    read that otherwise; without code that lies there.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    known = {"local_files_only": True, "trust_remote_code": False}
    try:
        settings = settings_to_read_as_is(folder)
        if settings is None:
            tokenizer = AutoTokenizer.from_pretrained(folder, **known)
        else:
            names = {name: token for name, token in settings.items() if name != "tokenizer_class"}
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, **known, **names)
    except Contradiction as error:
        raise RequestError(f"{field}: the tokenizer in {folder}: {error}", field=field) from None
    except Exception as error:  # a file of any kind may be wrong, or a package missing
        missing = getattr(error, "name", None) if isinstance(error, ImportError) else None
        why = f"it needs the package {missing}" if missing else one_line(error)
        todo = _what_to_do(folder) if not missing else "choose a checkpoint with a tokenizer.json"
        raise RequestError(
            f"{field}: the tokenizer in {folder} cannot be built ({type(error).__name__}: {why}); {todo}",
            field=field,
        ) from None
    if not tokenizer.is_fast:
        raise RequestError(
            f"{field}: the tokenizer in {folder} ({type(tokenizer).__name__}) has no fast form, which is "
            "needed; choose a checkpoint with a tokenizer.json",
            field=field,
        )
    return tokenizer


def _what_to_do(folder: Path) -> str:
    """About a tokenizer whose files are not what transformers expects, those at fault by name where they are
    no JSON objects.
    """
    beside = [path for path in tokenizer_files(folder) if path.name in SETTINGS]
    broken = [path for path in beside if not object_in(path)]
    faulty = broken or beside
    named = ", ".join(path.name for path in faulty)
    if not (folder / TOKENIZER_JSON).is_file():
        another = "choose a checkpoint with a tokenizer.json"
        return f"mend its {named}" if broken else f"look at its {named}, or {another}" if named else another
    if not faulty or not object_in(folder / TOKENIZER_JSON):
        return "get its tokenizer.json anew"
    which = "that" if len(faulty) == 1 else "them"
    return f"look at its {named}, or remove {which}: tokenizer.json is enough"
