"""The sample data: the same everywhere, balanced, held out, in sentences of its own, and not to be had by
counting words.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kdviz.data.sample import (
    MAX_EXAMPLES,
    TASKS,
    cola,
    engine,
    generate,
    mrpc,
    phenomena,
    qqp,
    rte,
    sst2,
    words,
)
from kdviz.tasks import TASKS as GLUE_TASKS
from kdviz.tasks import task_named

ROOT = Path(__file__).resolve().parents[1]
EVERY_TASK = pytest.mark.parametrize("task", TASKS)


@cache
def full(task: str, split: str, seed: int = 0) -> tuple:
    return tuple(generate(task, split, MAX_EXAMPLES[split], seed))


def texts(examples) -> set:
    return {(example.text_a, example.text_b) for example in examples}


def tokens(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def test_tasks_of_the_paper_are_there():
    """Without a network a run on one of them would end with an error instead of with sample data."""
    assert set(TASKS) == {"cola", "mrpc", "rte", "qqp", "sst2"}


@EVERY_TASK
def test_format_is_the_tasks_own(task):
    """A missing second sentence or a label that the task lacks would train something else under the task's
    name.
    """
    spec = task_named(task)
    for row, example in enumerate(full(task, "dev")):
        assert example.index == row
        assert (example.text_b is not None) == spec.is_pair
        assert example.label in range(len(spec.labels))
        assert example.phenomenon in phenomena(task)


@EVERY_TASK
def test_english_is_well_formed(task):
    """Doubled words, a stray slot, "a apple" or a missing capital would shame a lecturer and give labels
    away.
    """
    for example in full(task, "dev") + full(task, "train")[:4000]:
        for text in filter(None, (example.text_a, example.text_b)):
            assert re.fullmatch(r"[A-Z0-9].*[a-z0-9][.?]", text), text
            assert not re.search(r"[{}]|  | ,|\b(a|an|the) (a|an|the)\b", text), text
            assert not re.search(r"\b[aA] [aeio]\w*(?<!one)\b", text), text
            assert not re.search(r"\b[aA]n [^aeiouhAEIOU]", text), text


@EVERY_TASK
def test_same_on_every_machine(task):
    """With an order that depends on the process, two people's "seed 0" would be different data under one
    name.
    """
    code = f"from kdviz.data.sample import generate; print(generate({task!r}, 'dev', 60, seed=3))"
    for hash_seed in ("0", "1"):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.strip() == str(generate(task, "dev", 60, seed=3))


@EVERY_TASK
def test_seeds_differ(task):
    """A seed without effect would make several seeds of a study look alike for no reason."""
    assert generate(task, "train", 50, seed=0) != generate(task, "train", 50, seed=1)


@EVERY_TASK
@pytest.mark.parametrize("split", ["train", "dev"])
def test_smaller_is_a_prefix(task, split):
    """Otherwise the index of an example would mean another sentence after a change of size."""
    assert tuple(generate(task, split, 137)) == full(task, split)[:137]
    assert generate(task, split, 0) == []


@EVERY_TASK
def test_twenty_thousand_distinct(task):
    """Repetitions would make a set look larger than it is."""
    assert len(texts(full(task, "train"))) == MAX_EXAMPLES["train"] == 20_000
    assert len(texts(full(task, "dev"))) == MAX_EXAMPLES["dev"]


@EVERY_TASK
def test_no_dev_example_in_train(task):
    """Of no seed, for otherwise a score on dev would be partly memory."""
    dev = texts(full(task, "dev")) | texts(full(task, "dev", seed=1))
    assert not dev & texts(full(task, "train"))


@EVERY_TASK
@pytest.mark.parametrize("split", ["train", "dev"])
def test_every_prefix_is_balanced(task, split):
    """A subset with more of one label or one phenomenon would move every score without a word of warning."""
    largest_group = 4
    labels, kinds, both = Counter(), Counter(), Counter()
    for example in full(task, split)[:2000]:
        labels[example.label] += 1
        kinds[example.phenomenon] += 1
        both[example.phenomenon, example.label] += 1
        assert abs(labels[0] - labels[1]) <= largest_group
        assert max(kinds.values()) - min(kinds[kind] for kind in phenomena(task)) <= largest_group
    assert all(both[kind, 0] == pytest.approx(both[kind, 1], abs=largest_group) for kind in kinds)


def test_at_least_eight_phenomena():
    """Fewer would make the breakdown by phenomenon pointless."""
    assert all(len(phenomena(task)) >= 8 for task in TASKS)


def test_word_lists_are_held_out():
    """A word in both halves of a list would be known from training; only some of SST-2's praise and blame is
    shared.
    """
    shared_on_purpose = (sst2._GOOD, sst2._BAD)
    lists = [
        value
        for module in (words, cola, mrpc, qqp, rte, sst2)
        for value in vars(module).values()
        if isinstance(value, words.Words) and value not in shared_on_purpose
    ]
    assert len(lists) > 20
    for each in lists:
        assert not (set(each.train) & set(each.dev)) - {""}
        assert len(set(each.train)) == len(each.train) and len(set(each.dev)) == len(each.dev)


@EVERY_TASK
def test_dev_has_new_words(task):
    """Lists may be disjoint and yet share their words through another list: nearly every dev example has a
    new word.
    """
    known = {
        token
        for example in full(task, "train")
        for token in tokens(f"{example.text_a} {example.text_b or ''}")
    }
    new = [
        bool(set(tokens(f"{example.text_a} {example.text_b or ''}")) - known) for example in full(task, "dev")
    ]
    assert np.mean(new) > 0.9


@EVERY_TASK
def test_templates_are_held_out(task, monkeypatch):
    """A template of both splits would turn dev into training sentences with other nouns."""
    seen = []

    def template(self, *, train, dev):
        seen.append((train, dev))
        return self.pick(train if self.split == "train" else dev)

    monkeypatch.setattr(engine.Draw, "template", template)
    generate(task, "dev", 400)
    for train, dev in seen:
        assert not {str(each) for each in train} & {str(each) for each in dev}
        assert len(train) >= 2


@EVERY_TASK
@pytest.mark.parametrize("with_overlap", [False, True])
def test_counting_words_is_not_enough(task, with_overlap):
    """If words and pairs of words gave the label away, nobody would need attention, and a student could skip
    it.

    Logistic regression on counts of words and bigrams (for pairs: of each sentence by itself, and then also
    how many they share), 4,000 training examples.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    if with_overlap and not task_named(task).is_pair:
        pytest.skip("overlap needs two sentences")
    train, dev = full(task, "train")[:4000], full(task, "dev")[:1000]
    counter = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b|\?")
    counter.fit([text for example in train for text in (example.text_a, example.text_b) if text])

    def features(examples):
        first = counter.transform([example.text_a for example in examples])
        if not task_named(task).is_pair:
            return first
        second = counter.transform([example.text_b for example in examples])
        if not with_overlap:
            return sparse.hstack([first, second]).tocsr()
        shared, *lengths = (
            np.asarray(counts.sum(axis=1)).ravel() for counts in (first.minimum(second), first, second)
        )
        overlap = np.stack([shared / lengths[0], shared / lengths[1], (lengths[0] - lengths[1]) / 10], axis=1)
        return sparse.hstack([first, second, sparse.csr_matrix(5 * overlap)]).tocsr()

    model = LogisticRegression(max_iter=300).fit(features(train), [example.label for example in train])
    accuracy = model.score(features(dev), [example.label for example in dev])
    assert accuracy <= 0.70


def test_wrong_requests_say_what_exists():
    """A task without sample data must not quietly become another one."""
    with pytest.raises(ValueError, match="cola.*got 'mnli'"):
        generate("mnli", "train")
    with pytest.raises(ValueError, match="train and dev; got 'test'"):
        generate("cola", "test")
    with pytest.raises(ValueError, match="20,000 train examples; got 20,001"):
        generate("cola", "train", 20_001)
    with pytest.raises(ValueError, match="got -1"):
        generate("cola", "dev", -1)


@pytest.mark.slow
def test_no_sentence_of_glue(real_glue: Path):
    """Sentences of GLUE are not ours to give away, and would make sample data a test on the training set."""
    ours = {
        " ".join(tokens(text))
        for task in TASKS
        for split in ("train", "dev")
        for example in full(task, split)
        for text in (example.text_a, example.text_b)
        if text
    }
    ours |= {
        " ".join(tokens(text))
        for task in GLUE_TASKS.values()
        for preset in task.presets
        for text in (preset.text_a, preset.text_b)
        if text
    }
    for path in sorted(real_glue.rglob("*.t*")):
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            for field in line.split("\t"):
                assert " ".join(tokens(field)) not in ours or len(tokens(field)) < 3, f"{path}: {field}"
