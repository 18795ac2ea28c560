"""Tokenised sets: batches, their order, truncation, and what happens to a damaged file of the cache."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from kdviz.data.encoded import EncodedSet, Tokenizer
from kdviz.data.examples import Example

WORDS = [
    "the",
    "dog",
    "sees",
    "a",
    "cat",
    "near",
    "the",
    "old",
    "river",
    "again",
    "and",
    "again",
    "while",
    "the",
    "teacher",
    "sleeps",
]
SINGLES = [
    Example(
        index=3 * number, text_a=" ".join(WORDS[: 1 + number % len(WORDS)]), text_b=None, label=number % 2
    )
    for number in range(40)
]
PAIRS = [
    Example(
        index=number,
        text_a=" ".join(WORDS[: 1 + number % 9]),
        text_b=" ".join(WORDS[number % 5 :]),
        label=number % 3,
    )
    for number in range(20)
]


@pytest.fixture(scope="module")
def tokenizer(minilm_folder: Path) -> Tokenizer:
    return Tokenizer(minilm_folder, 24)


@pytest.fixture(scope="module")
def singles(tokenizer: Tokenizer) -> EncodedSet:
    return tokenizer.encode_set(SINGLES)


@pytest.mark.parametrize("examples", [SINGLES, PAIRS], ids=["single", "pairs"])
@pytest.mark.parametrize("max_length", [8, 24])
def test_batches_equal_the_tokenizers_own(minilm_folder, examples, max_length):
    """Types or special tokens lost in the ragged form would train a model on other input than
    `from_pretrained` users give it.
    """
    encoded = Tokenizer(minilm_folder, max_length).encode_set(examples)
    reference = AutoTokenizer.from_pretrained(minilm_folder, local_files_only=True)
    expected = reference(
        [e.text_a for e in examples],
        [e.text_b for e in examples] if examples is PAIRS else None,
        truncation=True,
        max_length=max_length,
        padding=True,
        return_tensors="np",
    )
    batch = encoded.batch(np.arange(len(examples)))
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert np.array_equal(getattr(batch, name).numpy(), expected[name]), name
    assert batch.labels.tolist() == [example.label for example in examples] and encoded.index.tolist() == [
        example.index for example in examples
    ]
    lengths = [
        len(ids)
        for ids in reference(
            [e.text_a for e in examples], [e.text_b for e in examples] if examples is PAIRS else None
        )["input_ids"]
    ]
    assert encoded.num_truncated == sum(length > max_length for length in lengths)


@pytest.mark.parametrize("max_length", [8, 24])
def test_one_text_is_encoded_as_in_a_set(minilm_folder, max_length):
    """One's own sentence must be cut as the training sentences were, and say that it was."""
    tokenizer = Tokenizer(minilm_folder, max_length)
    for examples in (SINGLES[:16], PAIRS[:10]):
        encoded = tokenizer.encode_set(examples)
        for number, example in enumerate(examples):
            ids, types, truncated = tokenizer.encode(example.text_a, example.text_b)
            begin, end = encoded.offsets[number : number + 2]
            assert ids == encoded.tokens[begin:end].tolist() and types == encoded.types[begin:end].tolist()
            assert (
                truncated
                == (
                    len(
                        AutoTokenizer.from_pretrained(minilm_folder)(example.text_a, example.text_b)[
                            "input_ids"
                        ]
                    )
                    > max_length
                )
                if number % 5 == 0
                else True
            )


@settings(deadline=None, max_examples=40)
@given(
    num=st.integers(1, 300),
    batch_size=st.integers(1, 33),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 5),
)
def test_every_example_occurs_once_an_epoch(num, batch_size, seed, epoch):
    """An example lost between windows would never be trained on; one twice would count double."""
    encoded = fake_set(np.random.default_rng(num).integers(1, 20, num))
    batches = encoded.training_order(batch_size=batch_size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(num))
    assert len(batches) == -(-num // batch_size) and max(map(len, batches)) <= batch_size
    again = encoded.training_order(batch_size=batch_size, seed=seed, epoch=epoch)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again)), "resuming must see the same order"


def fake_set(lengths: np.ndarray) -> EncodedSet:
    offsets = np.r_[0, np.cumsum(lengths)]
    return EncodedSet(
        tokens=np.ones(offsets[-1], dtype=np.int32),
        types=np.zeros(offsets[-1], dtype=np.uint8),
        offsets=offsets,
        labels=np.zeros(len(lengths), dtype=np.int32),
        index=np.arange(len(lengths), dtype=np.int32),
        num_truncated=0,
        fingerprint="x",
    )


def test_the_order_changes_with_seed_and_epoch_and_is_not_by_length():
    """Shuffling lost beside a cache, or batches from short to long, train worse for no visible reason."""
    encoded = fake_set(np.random.default_rng(0).integers(1, 20, 500))
    orders = [
        np.concatenate(encoded.training_order(batch_size=8, seed=seed, epoch=epoch))
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], orders[2])
    means = [encoded.lengths[batch].mean() for batch in encoded.training_order(batch_size=8, seed=0, epoch=0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4
    spread = np.mean(
        [np.ptp(encoded.lengths[batch]) for batch in encoded.training_order(batch_size=8, seed=0, epoch=0)]
    )
    assert spread < 3, "batches of similar lengths: little padding"


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 70), min_size=1, max_size=80), st.integers(1, 300))
def test_evaluation_batches_cover_the_set_within_the_budget(lengths, max_tokens):
    """An example missed in evaluation would keep zeros as its logits and count as class 0."""
    encoded = fake_set(np.array(lengths))
    batches = list(encoded.evaluation_batches(max_tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(
        len(batch) == 1 or len(batch) * encoded.lengths[batch].max() <= max_tokens for batch in batches
    )


def test_an_empty_text_of_a_pair_is_one_alone_too(minilm_folder):
    """QQP has such rows. By itself such a pair lost its second border: the maps of a row that is looked at
    were of other tokens than those that were trained on and scored.
    """
    tokenizer = Tokenizer(minilm_folder, 24)
    for text_a, text_b in (("the dog", ""), ("", "the dog"), ("", ""), ("the dog", " ")):
        encoded = tokenizer.encode_set([Example(index=0, text_a=text_a, text_b=text_b, label=0)])
        expected = encoded.tokens.tolist(), encoded.types.tolist(), False
        assert tokenizer.encode(text_a, text_b) == expected


def test_a_set_is_encoded_in_parts(minilm_folder, monkeypatch):
    """What is cut off of pairs comes back in every combination: all of RTE at once, cut to 8 tokens, took
    2.4 GB, and a row where two parts meet must be no other for it.
    """
    tokenizer, asked = Tokenizer(minilm_folder, 8), []
    encode = tokenizer._encoded

    def counted(texts_a: list[str], texts_b: list[str] | None) -> dict:
        asked.append(len(texts_a))
        return encode(texts_a, texts_b)

    monkeypatch.setattr(tokenizer, "_encoded", counted)
    monkeypatch.setattr("kdviz.data.encoded.TEXTS_AT_ONCE", 7)
    parts = tokenizer.encode_set(PAIRS)
    assert asked == [7, 7, 6]
    monkeypatch.undo()
    whole = tokenizer.encode_set(PAIRS)
    for name in ("tokens", "types", "offsets", "labels", "index"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert parts.num_truncated == whole.num_truncated > 0


def test_the_fingerprint_names_tokenizer_length_and_content(minilm_folder, tokenizer, singles):
    """Teacher outputs are kept under it: two sets under one name would exchange their teachers' answers."""
    others = [
        tokenizer.encode_set(SINGLES[:-1]),
        tokenizer.encode_set(SINGLES[1:] + SINGLES[:1]),
        tokenizer.encode_set(
            [
                *SINGLES[:-1],
                Example(
                    index=SINGLES[-1].index,
                    text_a=SINGLES[-1].text_a,
                    text_b=None,
                    label=1 - SINGLES[-1].label,
                ),
            ]
        ),
        Tokenizer(minilm_folder, 23).encode_set(SINGLES),
    ]
    names = [singles.fingerprint, *(other.fingerprint for other in others)]
    assert len(set(names)) == len(names)
    assert Tokenizer(minilm_folder, 24).encode_set(SINGLES).fingerprint == singles.fingerprint


def test_the_fingerprint_names_what_was_built_of_the_files(minilm_folder, tmp_path, monkeypatch):
    """config.json and the version of transformers decide on the class too: a kept set of lower-case words was
    taken for one of cased words.
    """
    folder = Path(shutil.copytree(minilm_folder, tmp_path / "own"))
    (folder / "tokenizer_config.json").write_text("{}")
    kept, seen = tmp_path / "kept", set()
    for said in ({}, {"tokenizer_class": "PreTrainedTokenizerFast"}, {"type_vocab_size": 1}):
        config = {"model_type": "bert", "vocab_size": 30522, **said}
        (folder / "config.json").write_text(json.dumps(config))
        seen.add(Tokenizer(folder, 24).encode_set(SINGLES, kept).fingerprint)
    assert len(seen) == len(list(kept.iterdir())) == 3
    monkeypatch.setattr(transformers, "__version__", "4.0")
    assert Tokenizer(folder, 24).fingerprint not in seen


def equal(one: EncodedSet, other: EncodedSet) -> bool:
    return (
        all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("tokens", "types", "offsets", "labels", "index")
        )
        and one.num_truncated == other.num_truncated
    )


@pytest.mark.parametrize("damage", ["none", "cut", "empty", "garbage", "other", "folder"])
def test_the_cache_gives_the_same_set_and_is_made_again_where_it_is_damaged(
    tokenizer, singles, tmp_path, damage
):
    """A half-written file would fail every later run on this data until somebody finds and removes it."""
    tokenizer.encode_set(SINGLES, tmp_path)
    path = tmp_path / f"{singles.fingerprint}.safetensors"
    content = path.read_bytes()
    if damage == "other":
        tokenizer.encode_set(SINGLES[:7], tmp_path / "seven")
        path.write_bytes(next((tmp_path / "seven").iterdir()).read_bytes())
    elif damage == "folder":
        path.unlink()
    elif damage != "none":
        path.write_bytes({"cut": content[:-40], "empty": b"", "garbage": b"\xff" * 500}[damage])
    assert equal(tokenizer.encode_set(SINGLES, tmp_path), singles)
    assert path.read_bytes() == content
