"""Every encoder family against transformers' own model: maps, logits, students, tokens."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TinyRuns
from families import FAMILY_NAMES, LAYERS, write_family_checkpoint
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kdviz.analysis import kept_tokens
from kdviz.data.encoded import Batch, Tokenizer
from kdviz.data.examples import Example
from kdviz.data.tokens import are_special
from kdviz.errors import RequestError
from kdviz.method.stages import Stage
from kdviz.models import families
from kdviz.models.build import build_student, load_classifier
from kdviz.models.checkpoint import check_fit, resolve
from kdviz.models.families import CLASSIFIER, EMBEDDINGS, FAMILIES, POOLER, family_of
from kdviz.models.trace import classify, seed_dropout, trace
from kdviz.training.optimise import make_optimizer
from kdviz.training.step import set_trainable

TEXTS = (
    "The dog sees the cat.",
    "Yes.",
    "Again and again the old horse likes what the doctor knows.",
    "The child helps the lawyer.",
)


NEW = [name for name in FAMILY_NAMES if name != "bert"]


@pytest.fixture(scope="module")
def models(checkpoints) -> dict[str, torch.nn.Module]:
    return {
        name: load_classifier(folder, 3, torch.Generator().manual_seed(0))
        for name, folder in checkpoints.items()
    }


def batch_of(folder: Path, *, pairs: bool, min_length: int = 0) -> Batch:
    rows = [(text, TEXTS[number - 1] if pairs else None) for number, text in enumerate(TEXTS)]
    encoded = Tokenizer(folder, 60).encode_set(
        [Example(index=number, text_a=a, text_b=b, label=number % 2) for number, (a, b) in enumerate(rows)]
    )
    return encoded.batch(np.arange(len(rows)), min_length=min_length)


def own_forward(model: torch.nn.Module, folder: Path, batch: Batch):
    """What transformers' eager model says, with inputs as its own tokenizer pads them."""
    eager = type(model)._from_config(copy.deepcopy(model.config), attn_implementation="eager").eval()
    eager.load_state_dict(model.state_dict())
    inputs = {
        "input_ids": batch.input_ids.masked_fill(
            batch.attention_mask == 0, AutoTokenizer.from_pretrained(folder).pad_token_id
        ),
        "attention_mask": batch.attention_mask,
    }
    if bool(batch.token_type_ids.any()) and model.config.model_type != "distilbert":
        inputs["token_type_ids"] = batch.token_type_ids
    with torch.no_grad():
        return eager(**inputs, output_attentions=True, output_hidden_states=True)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_maps_and_logits_equal_the_models_own(checkpoints, models, name, pairs):
    """A bias, a position offset or a token type left out gives another model's attention, and trains
    students towards it.
    """
    folder, model = checkpoints[name], models[name]
    batch = batch_of(folder, pairs=pairs, min_length=58)
    assert bool((batch.attention_mask == 0).any())
    with torch.no_grad():
        traced = trace(model, *batch.inputs, record=range(LAYERS))
        logits = classify(model, traced.last)
    expected = own_forward(model, folder, batch)
    rows = batch.attention_mask.bool()[:, None, :, None]
    assert len(expected.attentions) == LAYERS
    spread = 0.0
    for layer in range(LAYERS):
        own = expected.attentions[layer] * rows
        assert torch.allclose(traced.log_probs[layer].exp() * rows, own, atol=1e-5)
        assert torch.allclose(traced.cls[layer], expected.hidden_states[layer + 1][:, 0], atol=1e-5)
        spread = max(spread, float(own.max()))
    assert spread > 0.3, "flat maps would be equal whatever was forgotten"
    assert torch.allclose(logits, expected.logits, atol=1e-5)


@pytest.mark.parametrize("name", NEW)
def test_fewer_layers_and_unrecorded_ones_give_the_same(checkpoints, models, name):
    """Early stages run the lower layers alone, evaluation records few: all must be one model."""
    batch, model = batch_of(checkpoints[name], pairs=True), models[name]
    with torch.no_grad():
        full = trace(model, *batch.inputs, record=range(LAYERS))
        part = trace(model, *batch.inputs, num_layers=2, record=[1])
        plain = trace(model, *batch.inputs)
    assert len(part.cls) == 2 and set(part.log_probs) == {1} and not plain.log_probs
    assert torch.allclose(part.log_probs[1].exp(), full.log_probs[1].exp(), atol=1e-6)
    assert torch.allclose(part.cls[1], full.cls[1], atol=1e-5)
    assert torch.allclose(plain.last, full.last, atol=1e-5)


@pytest.mark.parametrize("name", NEW)
def test_every_dropout_draws_from_the_runs_generator(checkpoints, name):
    """One dropout left to torch's global generator, and no run can be repeated or resumed."""
    model = load_classifier(checkpoints[name], 2, torch.Generator().manual_seed(0))
    generator = torch.Generator()
    seed_dropout(model, generator)
    model.train()
    batch = batch_of(checkpoints[name], pairs=False)

    def outcome(global_seed: int, seed: int = 5) -> torch.Tensor:
        torch.manual_seed(global_seed)
        generator.manual_seed(seed)
        return classify(model, trace(model, *batch.inputs, record=[0, 2], generator=generator).last).detach()

    state = torch.random.get_rng_state()
    first = outcome(1)
    assert torch.equal(first, outcome(2)) and not torch.allclose(first, outcome(1, seed=6))
    assert torch.equal(torch.manual_seed(1).get_state(), torch.random.get_rng_state()) and len(state)


@pytest.mark.parametrize("name", NEW)
def test_maps_in_train_mode_are_distributions_and_carry_gradients(checkpoints, name):
    """Maps after dropout are none, and a bias without its gradient would never be trained."""
    model = load_classifier(checkpoints[name], 2, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    seed_dropout(model, generator)
    model.train()
    batch = batch_of(checkpoints[name], pairs=True)
    traced = trace(model, *batch.inputs, record=range(LAYERS), generator=generator)
    real = batch.attention_mask.bool()[:, None, None, :].expand_as(traced.log_probs[0])
    for log_probs in traced.log_probs.values():
        assert torch.allclose(log_probs.exp().sum(-1), torch.ones(()), atol=1e-5)
        assert torch.isfinite(log_probs[real]).all()
    (classify(model, traced.last).sum() + traced.log_probs[LAYERS - 1][real].pow(2).sum()).backward()
    without = [
        key for key, parameter in model.named_parameters() if parameter.grad is None and "pooler" not in key
    ]
    assert not without


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_student_of_all_layers_is_the_teacher_and_a_shallower_one_its_layers(checkpoints, models, name):
    """What is not copied is drawn: a student that starts with a random bias is another one."""
    teacher = models[name]
    batch = batch_of(checkpoints[name], pairs=True)
    with torch.no_grad():
        expected = trace(teacher, *batch.inputs)
        whole = build_student(
            init="teacher",
            pairs=tuple((layer, layer) for layer in range(LAYERS)),
            teacher=teacher,
            source=teacher,
            generator=torch.Generator().manual_seed(1),
        )
        assert torch.equal(
            classify(whole, trace(whole, *batch.inputs).last), classify(teacher, expected.last)
        )
        shallow = build_student(
            init="pretrained",
            pairs=((0, 1), (1, 3)),
            teacher=teacher,
            source=teacher,
            generator=torch.Generator().manual_seed(1),
        )
    family, weights, drawn = family_of(teacher), teacher.state_dict(), set()
    for key, tensor in shallow.state_dict().items():
        part = family.part_of(key)
        origin = key.replace(f"layer.{part}.", f"layer.{2 * part + 1}.") if isinstance(part, int) else key
        if part == CLASSIFIER:
            drawn.add(key)
        else:
            assert torch.equal(tensor, weights[origin]), key
    assert drawn and shallow.config.num_hidden_layers == 2
    assert {family.part_of(key) for key in weights} <= {*range(LAYERS), EMBEDDINGS, POOLER, CLASSIFIER}


@pytest.mark.parametrize("name", NEW)
def test_a_stage_moves_its_layers_and_never_what_frozen_layers_share(checkpoints, models, name):
    """MPNet's position bias trained in a late stage would change the maps of layers that are frozen."""
    model = copy.deepcopy(models[name])
    set_trainable(model, Stage(layers=(2,), classification="none", epochs=1, frozen_below=2))
    family = family_of(model)
    moving = {family.part_of(key) for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert {2, 3, CLASSIFIER} <= moving <= {2, 3, CLASSIFIER, POOLER}
    set_trainable(model, Stage(layers=(2,), classification="none", epochs=1))
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_biases_and_layer_norms_do_not_decay(models, name):
    """DistilBERT calls its norms by other names; decayed towards 0, they would shrink every layer."""
    model = models[name]
    decaying = {
        id(parameter)
        for group in make_optimizer(model, learning_rate=1e-3, weight_decay=0.1).param_groups
        for parameter in group["params"]
        if group["weight_decay"]
    }
    for module in model.modules():
        for kind, parameter in module.named_parameters(recurse=False):
            free = kind == "bias" or isinstance(module, torch.nn.LayerNorm)
            assert (id(parameter) in decaying) != free


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "camembert", "mpnet"])
def test_the_usable_length_is_what_the_positions_allow(checkpoints, models, name):
    """With an offset of two, 64 positions take 62 tokens; one more is an IndexError in mid-run."""
    checkpoint = resolve(str(checkpoints[name]))
    assert checkpoint.max_positions == 62
    check_fit(checkpoint, checkpoint, 62)
    with pytest.raises(RequestError, match="at most 62"):
        check_fit(checkpoint, checkpoint, 63)
    ids = torch.full((1, 62), 5)
    trace(models[name], ids, torch.ones_like(ids), torch.zeros_like(ids))


def test_an_unknown_family_is_refused_with_the_known_ones(tmp_path):
    """A user who reads "not supported" does not know what is."""
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(RequestError) as caught:
        resolve(str(tmp_path))
    message = str(caught.value)
    assert all(family.title in message for family in FAMILIES.values()) and "\n" not in message
    assert "'t5'" in message


def test_nothing_else_in_the_core_names_a_family():
    """A second place that knows BERT's layout is a place where every other family breaks."""
    named = re.compile(
        r"\b(bert|roberta|electra|distilbert|mpnet|camembert)\.(embeddings|encoder|pooler|transformer)\b"
        r"|(Bert|Roberta|Electra|MPNet|Camembert)(For|Model|Config)|models\.bert\b"
    )
    core = Path(__file__).parents[1] / "kdviz"
    found = [
        f"{path.relative_to(core)}: {line.strip()}"
        for path in core.rglob("*.py")
        if path.name != "families.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if named.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("name", "words", "special"),
    [
        ("bert", ["[CLS]", "the", "dog", ".", "[SEP]", "yes", ".", "[SEP]"], [0, 4, 7]),
        ("mpnet", ["<s>", "the", "dog", ".", "</s>", "</s>", "yes", ".", "</s>"], [0, 4, 5, 8]),
        ("roberta", ["<s>", "The", "dog", ".", "</s>", "</s>", "Y", "es", ".", "</s>"], [0, 4, 5, 9]),
    ],
)
def test_tokens_are_readable_and_the_special_ones_are_the_tokenizers(checkpoints, name, words, special):
    """Ġ and ▁ are jargon on a screen; and what is hidden as special must be what the tokenizer added."""
    tokenizer = Tokenizer(checkpoints[name], 32)
    ids, _, _ = tokenizer.encode("The dog.", "Yes.")
    tokens = tokenizer.tokens(ids)
    assert list(tokens) == words
    assert [place for place, is_special in enumerate(are_special(tokens)) if is_special] == special
    kept = [place for place in range(len(words)) if place not in special]
    assert kept_tokens(tokens, hide_special=True) == kept


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "camembert"])
def test_no_token_shows_the_marks_of_its_tokenizer(checkpoints, name):
    """A heat map with "Ã©" at its side is unreadable; one with an empty label has a hole."""
    tokenizer = Tokenizer(checkpoints[name], 60)
    ids, _, _ = tokenizer.encode("The dog sees  a café, today.", "\u201cYes\u201d 🙂")
    tokens = tokenizer.tokens(ids)
    assert len(tokens) == len(ids) and all(tokens)
    whole = [token for token in tokens if not set(token) & {"Ģ", "Ļ", "ŀ", "Ł", "ð", "â"}]
    assert not any(mark in token for token in whole for mark in ("Ġ", "▁"))
    if name == "roberta":
        assert "é" in tokens or "Ã" in tokens


GUIDE = Path(__file__).parents[1] / "docs" / "adding-a-family.md"


def guide_blocks() -> dict[str, str]:
    """The Python blocks of the guide by the family that they add."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {re.search(r'model_type="(.*?)"', block)[1]: block for block in blocks}


@pytest.mark.parametrize("name", ["ernie", "roformer"])
def test_a_new_family_takes_under_40_lines_in_one_file(minilm_folder, glue, tmp_path, monkeypatch, name):
    """A guide that was right once, or a family that still has to be named elsewhere, costs a user a day."""
    block = guide_blocks()[name]
    assert len([line for line in block.splitlines() if line.strip()]) < 40
    monkeypatch.setitem(FAMILIES, name, None)  # so that it is taken away again after the test
    exec(block, vars(families) | {"__name__": "kdviz.models.families"})
    folder = write_family_checkpoint(tmp_path / name, name, minilm_folder)
    model = load_classifier(folder, 2, torch.Generator().manual_seed(0))
    batch = batch_of(folder, pairs=True, min_length=58)
    with torch.no_grad():
        traced = trace(model, *batch.inputs, record=range(LAYERS))
        logits = classify(model, traced.last)
    expected = own_forward(model, folder, batch)
    rows = batch.attention_mask.bool()[:, None, :, None]
    for layer in range(LAYERS):
        maps = traced.log_probs[layer].exp()
        assert torch.allclose(maps * rows, expected.attentions[layer] * rows, atol=1e-5)
    assert torch.allclose(logits, expected.logits, atol=1e-5)
    run = TinyRuns(folder, glue, tmp_path / "runs").run(strategy="sid", epochs=3, epochs_per_layer=1)
    assert run.state == "finished"
    assert (
        AutoModelForSequenceClassification.from_pretrained(run.folder / "student").config.model_type == name
    )


def test_other_heads_are_refused_with_what_would_fit(minilm_folder, tmp_path):
    """The registry knows which checkpoints have the teacher's heads: so the message can say it."""
    few = write_family_checkpoint(tmp_path / "few", "bert", minilm_folder, num_attention_heads=2)
    teacher = resolve("minilm-l6")
    with pytest.raises(RequestError, match="heads must be the teacher's.*has 12.*has 2") as caught:
        check_fit(teacher, resolve(str(few)), 32, compares_vectors=False)
    assert "fitting: minilm-l6, bert-base, minilm-l12, none (the student" in str(caught.value)
    with pytest.raises(RequestError) as caught:
        check_fit(teacher, resolve(str(few)), 32)
    assert "fitting: minilm-l6, minilm-l12, none" in str(caught.value)
