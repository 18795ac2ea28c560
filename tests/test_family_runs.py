"""Runs of every encoder family: what they write loads elsewhere, goes on after a break, and can be asked."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import STRATEGIES, TinyRuns, made_once
from families import FAMILY_NAMES, write_family_checkpoint
from stopped import assert_same_run, stop_in
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kdviz.analysis import kept_tokens
from kdviz.data import load_examples
from kdviz.data.tokens import are_special
from kdviz.errors import RequestError
from kdviz.jobs.execute import execute
from kdviz.jobs.together import create_together
from kdviz.runs.reader import Run
from kdviz.share.bertviz import head_view_html
from kdviz.share.own_sentence import ask
from kdviz.share.report import report

NEW = [name for name in FAMILY_NAMES if name != "bert"]


PAIRS = dict(task="rte", epochs=3, train_size=24, max_length=56)
OWN_CODE = ("roberta", "electra", "distilbert", "mpnet")
"""One of each kind: the others of RoBERTa's differ from it in their tokenizer alone."""
STRATEGY_OF = {"xlm-roberta": "all", "camembert": "sid"}


@pytest.fixture(scope="session")
def unbroken(checkpoints, glue, tiny_runs_dir) -> Callable[[str, str], Run]:
    """A run of a family and a strategy on pairs of sentences, each made once."""

    def run(name: str, strategy: str) -> Run:
        tiny = TinyRuns(checkpoints[name], glue, tiny_runs_dir)
        place = tiny_runs_dir / f"unbroken-{name}-{strategy}"
        return Run(made_once(place, lambda folder: tiny.run(folder.name, strategy=strategy, **PAIRS)))

    return run


@pytest.mark.parametrize(
    ("name", "strategy"),
    [(name, strategy) for name in OWN_CODE for strategy in STRATEGIES] + [*STRATEGY_OF.items()],
)
def test_a_run_of_every_strategy_ends_with_a_student_that_anyone_can_load(unbroken, glue, name, strategy):
    """A student that only kdviz can run, or that answers otherwise elsewhere, is worth nothing."""
    run = unbroken(name, strategy)
    assert run.state == "finished" and len(run.evals) == 4
    kl = np.array(run.evals[-1]["mismatch"]["attention_kl"])
    assert kl.shape == (2,) and np.isfinite(kl).all()
    folder = run.folder / "student"
    student, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()) and student.config.model_type == name
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = load_examples("rte", "folder", glue, seed=0).main_dev
    inputs = tokenizer(
        [example.text_a for example in examples],
        [example.text_b for example in examples],
        padding=True,
        truncation=True,
        max_length=56,
        return_tensors="pt",
    )
    with torch.no_grad():
        logits = student.eval()(**inputs).logits.numpy()
    lines = (run.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    stored = [json.loads(line)["student_logits"] for line in lines]
    np.testing.assert_allclose(logits, stored, atol=1e-4)


@pytest.mark.parametrize("name", ["distilbert", "electra"])
def test_a_student_may_come_from_another_family_with_the_same_words(checkpoints, glue, tiny_runs_dir, name):
    """DistilBERT under a BERT teacher is what most people try first; heads, width and tokens agree."""
    run = TinyRuns(checkpoints["bert"], glue, tiny_runs_dir).run(
        student_checkpoint=str(checkpoints[name]), strategy="all", epochs=2
    )
    student = AutoModelForSequenceClassification.from_pretrained(run.folder / "student")
    assert student.config.model_type == name
    assert np.mean(run.evals[-1]["mismatch"]["attention_kl"]) < np.mean(
        run.evals[0]["mismatch"]["attention_kl"]
    )
    assert ask(run, "The dog sees the cat.").student_maps.shape[0] == 2


def test_further_terms_read_every_family(checkpoints, glue, tiny_runs_dir):
    """A family that runs its attention itself must hand over its values as well as its maps."""
    run = TinyRuns(checkpoints["mpnet"], glue, tiny_runs_dir).run(
        terms=("kl", "value_relation"), strategy="all", epochs=1
    )
    relation = run.evals[-1]["mismatch"]["value_relation"]
    assert len(relation) == 2 and all(value > 0 for value in relation)


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_run_that_was_interrupted_ends_as_an_unbroken_one(unbroken, checkpoints, glue, tiny_runs_dir, name):
    """What a family keeps outside its layers (bias, projection, head) must be in the checkpoint too."""
    folder = TinyRuns(checkpoints[name], glue, tiny_runs_dir).create(strategy="sid", **PAIRS)
    stop_in(folder, "train_epoch", 3)
    stop_in(folder, "train_epoch", 8)
    execute(folder, num_threads=1)
    assert_same_run(folder, unbroken(name, "sid").folder)


@pytest.mark.parametrize("name", NEW)
def test_one_can_ask_about_a_sentence_of_ones_own(unbroken, checkpoints, name):
    """Token types or special tokens of another family would answer another question."""
    run = unbroken(name, STRATEGY_OF.get(name, "soft"))
    answer = ask(run, "The dog sees the artist.", "Yes, the cat likes it.")
    teacher = AutoModelForSequenceClassification.from_pretrained(
        run.folder.parent / "teachers" / run.config["teacher_fingerprint"]
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoints[name])
    inputs = tokenizer("The dog sees the artist.", "Yes, the cat likes it.", return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(answer.teacher_logits, teacher(**inputs).logits[0].numpy(), atol=1e-4)
    size = inputs["input_ids"].shape[1]
    assert answer.teacher_maps.shape == (4, 4, size, size) and len(answer.tokens) == size


def test_a_finished_run_marks_its_special_tokens(unbroken, checkpoints):
    """The filter of the page reads the run's files: what they do not say, it cannot know."""
    run = unbroken("mpnet", "soft")
    tokenizer = AutoTokenizer.from_pretrained(checkpoints["mpnet"])
    rows = json.loads((run.folder / "probes.json").read_text(encoding="utf-8"))
    for probe, row in zip(run.probes, rows, strict=True):
        assert row["token_ids"] == tokenizer(probe.text_a, probe.text_b)["input_ids"]
        places = [place for place, number in enumerate(row["token_ids"]) if number in (0, 2)]
        assert row["special"] == places and kept_tokens(probe.tokens, hide_special=True) == [
            place for place in range(len(probe.tokens)) if place not in places
        ]
    answer = ask(run, "The dog sees the cat.")
    assert are_special(answer.tokens) == [True] + [False] * 6 + [True]
    page = head_view_html(answer.teacher_maps, answer.tokens, layer=1)
    assert "dog" in page


@pytest.fixture(scope="session")
def narrow(tmp_path_factory, minilm_folder) -> Path:
    """A BERT with the heads of the tiny one and half its width."""
    return write_family_checkpoint(
        tmp_path_factory.mktemp("narrow") / "narrow", "bert", minilm_folder, hidden_size=16, seed=3
    )


@pytest.mark.parametrize("strategies", [("soft", "all"), ("all", "soft")])
def test_a_narrower_student_is_looked_at_for_each_of_several_strategies(
    checkpoints, narrow, glue, tiny_runs_dir, tmp_path, strategies
):
    """The first one's check would let the others in, and they would break when their turn comes."""
    tiny = TinyRuns(checkpoints["bert"], glue, tiny_runs_dir)
    config = tiny.config(student_checkpoint=str(narrow))
    with pytest.raises(RequestError, match="width must be the teacher's"):
        create_together(config, strategies, tmp_path, "two")
    assert not list(tmp_path.iterdir())


def test_a_narrower_student_is_trained_by_its_maps(checkpoints, narrow, glue, tiny_runs_dir):
    """Heads agree, so attention can be compared; an angle between vectors of two widths would be invented."""
    tiny = TinyRuns(checkpoints["bert"], glue, tiny_runs_dir)
    run = tiny.run(student_checkpoint=str(narrow), terms=("kl",), strategy="all", epochs=2)
    assert run.state == "finished"
    for line in run.evals:
        kl, distance = line["mismatch"]["attention_kl"], line["mismatch"]["cls_distance"]
        assert np.isfinite(kl).all() and distance == [None, None] and np.isfinite(line["cka"]).all()
    assert np.mean(run.evals[-1]["mismatch"]["attention_kl"]) < np.mean(
        run.evals[0]["mismatch"]["attention_kl"]
    )
    assert "NaN" not in (run.folder / "metrics.jsonl").read_text(encoding="utf-8")
    student = AutoModelForSequenceClassification.from_pretrained(run.folder / "student")
    assert student.config.hidden_size == 16
    answer = ask(run, "The dog sees the cat.")
    assert answer.student_maps.shape[1:] == answer.teacher_maps.shape[1:]
    page, card = report(run), (run.folder / "student" / "README.md").read_text(encoding="utf-8")
    words = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert "Attention KL" in page and not re.search(r"\bnan\b", words, flags=re.IGNORECASE)
    assert "| 1 | 2 |" in card and not re.search(r"\bnan\b", card)


@pytest.mark.parametrize(
    "settings",
    [
        dict(terms=("kl", "cos")),
        dict(terms=("cos",)),
        dict(terms=("kl",), strategy="pid", epochs=3, cosine_threshold=0.1),
    ],
)
def test_vectors_of_two_widths_are_refused_with_the_reason(
    checkpoints, narrow, glue, tiny_runs_dir, settings
):
    """A bare "must be the same" leaves a user guessing what could be done instead."""
    tiny = TinyRuns(checkpoints["bert"], glue, tiny_runs_dir)
    with pytest.raises(
        RequestError, match="no angle in two widths.*terms kl alone.*has 32.*has 16"
    ) as caught:
        tiny.create(student_checkpoint=str(narrow), **{"strategy": "all", **settings})
    assert caught.value.field == "student_checkpoint"
    tiny.create(student_checkpoint=str(narrow), strategy="soft")
