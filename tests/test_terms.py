"""The registry of loss terms, and MiniLM's value relation as one of them."""

import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.special import rel_entr

import kdviz.method
from kdviz.config import RunConfig
from kdviz.files import GIBIBYTE
from kdviz.method import term as term_module
from kdviz.method.targets import training_needs
from kdviz.method.term import Reading
from kdviz.method.terms import TERMS
from kdviz.method.terms.value_relation import loss, value_relation
from kdviz.models.build import load_classifier
from kdviz.training.teacher_outputs import Budget, teacher_outputs

VALUE = dict(strategy="all", terms=("kl", "cos", "value_relation"))


def relation(values: np.ndarray) -> np.ndarray:
    """softmax(V·Vᵀ/√size) of one head's values (seq, size), by hand."""
    scores = values @ values.T / np.sqrt(values.shape[-1])
    return np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)


def test_value_relation_is_scipys_relative_entropy_of_the_relations_of_real_words():
    """A padded word that enters the softmax changes every row, by an amount that looks like learning."""
    values, lengths = torch.randn(2, 3, 4, 6, 8, generator=torch.Generator().manual_seed(0)), (6, 3, 5)
    mask = (torch.arange(6) < torch.tensor(lengths)[:, None]).long()
    teacher, student = (value_relation(each, mask) for each in values)
    found = loss(teacher, student, mask)
    for row, length in enumerate(lengths):
        for head in range(4):
            p, q = (relation(each[row, head, :length].double().numpy()) for each in values)
            expected = rel_entr(p, q).sum(-1).mean()
            assert found[row, head].item() == pytest.approx(expected, rel=1e-5)
    assert loss(teacher, teacher.clone(), mask).abs().max() == 0
    assert teacher.exp().sum(-1).sub(1).abs().max() < 1e-6, "rows are distributions over the real words"


def test_value_relation_of_half_precision_is_computed_in_float32():
    """In half precision a softmax over a long text loses the small weights that the KL is made of."""
    values = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    found = value_relation(values, torch.ones(2, 6))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, value_relation(values.float(), torch.ones(2, 6)))


def test_value_relation_sends_its_gradient_to_every_value_of_the_student():
    """A relation that is read off without gradient would be a curve, and train nothing."""
    teacher, mask = torch.randn(1, 2, 5, 4), torch.ones(1, 5)
    student = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    loss(value_relation(teacher, mask), value_relation(student, mask), mask).sum().backward()
    assert (student.grad.abs() > 0).all()


@pytest.mark.parametrize("name", list(TERMS))
def test_a_term_says_everything_a_screen_and_a_file_need(name):
    """A term without a unit would be drawn as a number of nothing."""
    term = TERMS[name]
    assert term.name == name and all((term.key, term.title, term.unit, term.words, term.source))
    assert term.is_logarithmic == (name == "cos"), "only angles between vectors span decades"
    kinds = {
        name: get_args(kind)
        for name, kind in get_type_hints(Reading, {**vars(term_module), "Tensor": torch.Tensor}).items()
    }
    assert term.reads.recorded in kinds["recorded"] and term.reads.form in kinds["form"]
    made = torch.randn(2, 3, 4, 4).log_softmax(-1) if term.reads.form == "map" else torch.randn(2, 5)
    value = term.loss(made, made + torch.randn(made.shape), torch.ones(2, 4))
    assert value.shape == ((2, 3) if term.has_heads else (2,))
    assert name in RunConfig.help("terms") and term.words in RunConfig.help(f"{name}_weight")
    config = RunConfig(terms=(name,), **{f"{name}_weight": 0.25})
    assert config.weight_of(name) == 0.25
    assert training_needs(config, ((0, 1), (1, 3), (2, 5))).readings == {
        (term.reads.name, layer) for layer in (1, 3, 5)
    }


def test_the_registry_and_the_settings_come_without_torch():
    """The page and `kdviz list` start in a moment; a registry that imports torch costs them seconds."""
    code = "import sys; import kdviz.config, kdviz.method.targets; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(kdviz.method.__file__).parents[2])


def test_the_method_imports_nothing_of_the_rest():
    """Method is what a reader of the paper reads; an import of models or data would tie it to ours."""
    for path in Path(kdviz.method.__file__).parent.rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and words[1].startswith("kdviz"):
                assert words[1].startswith(("kdviz.method", "kdviz.errors")), f"{path.name}: {line}"


def test_a_run_trains_measures_and_stores_the_value_relation(straight):
    """An option that changes the loss and appears nowhere could not be trusted to be on."""
    run, without = straight(**VALUE), straight(strategy="all")
    for line in run.train_lines:
        assert set(line["losses"]) == {"soft", "attention_kl", "cls_distance", "value_relation"}
        assert set(line["losses"]["value_relation"]) == {"0", "1"}
        assert line["loss"] == pytest.approx(
            line["losses"]["soft"] + sum(sum(line["losses"][term.key].values()) for term in TERMS.values()),
            rel=1e-5,
        )
    for line in run.evals + run.probe_lines:
        assert len(line["mismatch"]["value_relation"]) == 2
        assert np.mean(line["mismatch"]["value_relation_heads"], axis=1) == pytest.approx(
            line["mismatch"]["value_relation"]
        )
    assert all("value_relation" not in line["mismatch"] for line in without.evals + without.probe_lines)
    first, last = (run.evals[place]["mismatch"]["value_relation"] for place in (0, -1))
    assert sum(last) < sum(first), "it is trained"
    stored = load_file(run.folder / "evaluations" / "epoch_0002.safetensors")["value_relation"]
    assert stored.mean(axis=0) == pytest.approx(last, rel=1e-5)
    weights = [load_file(each.folder / "student" / "model.safetensors") for each in (run, without)]
    assert any(not np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_kept_value_relations_equal_the_live_teachers(tiny_checkpoint, tmp_path, straight):
    """What a run was trained against must not depend on whether the disk had room."""
    from kdviz.data.encoded import Tokenizer
    from kdviz.data.examples import Example

    teacher = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    texts = ["the dog sees", "a cat", "the old teacher sleeps near the river", "again and again and again"]
    encoded = Tokenizer(tiny_checkpoint, 32).encode_set(
        [Example(index=number, text_a=text, text_b=None, label=0) for number, text in enumerate(texts)]
    )
    needs = training_needs(RunConfig(student_layers=2, terms=("value_relation",)), ((0, 1), (1, 3)))
    folder = tmp_path / "teachers" / "x" / "outputs"
    kept, live = (
        teacher_outputs(
            teacher,
            encoded,
            needs,
            Budget(folder=folder, memory_bytes=GIBIBYTE, disk_bytes=GIBIBYTE, mode=mode),
        )
        for mode in ("auto", "off")
    )
    assert kept.is_kept and not live.is_kept
    batch = encoded.batch(np.array([2, 0, 3]))
    rows = batch.attention_mask.bool()[:, None, :, None]
    for layer in (1, 3):
        found, expected = (each.gather(batch, needs).reading("values")[layer] for each in (kept, live))
        assert ((found.exp() - expected.exp()) * rows).abs().max() < 5e-6
    assert_resumes(straight)


def assert_resumes(straight) -> None:
    run = straight(**VALUE)
    assert run.state == "finished" and run.config["value_relation_weight"] == 1.0
