"""Checkpoints, layer matching, students, and requests that cannot be carried out."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_tiny_checkpoint
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kdviz.data.encoded import Tokenizer
from kdviz.errors import RequestError
from kdviz.models.build import build_student, load_classifier, num_parameters, weights_digest
from kdviz.models.checkpoint import check_fit, resolve
from kdviz.models.export import save_model
from kdviz.models.matching import match_layers
from kdviz.models.registry import MINILM_SHA256, TEACHERS


def teacher_layers(matching: str, student: int, teacher: int) -> list[int]:
    """The matched teacher layers, 1-based as the paper writes them."""
    pairs = match_layers(matching, student, teacher)
    assert [own for own, _ in pairs] == list(range(student))
    return [layer + 1 for _, layer in pairs]


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        (6, [2, 4, 6, 8, 10, 12]),
        (4, [3, 6, 9, 12]),
        (3, [4, 8, 12]),
        (2, [6, 12]),
        (1, [12]),
        (12, list(range(1, 13))),
    ],
)
def test_uniform_matching_is_the_papers(student, expected):
    """An off-by-one (1, 3, …, 11, or 0-based 2, 4, …) trains towards other maps and leaves the last layer
    unmatched.
    """
    assert teacher_layers("uniform", student, 12) == expected


def test_matching_of_depths_that_do_not_divide_and_other_rules():
    """Depths that do not divide follow the same rule, and are shown before Start: they must not change
    between versions.
    """
    assert teacher_layers("uniform", 5, 12) == [2, 4, 7, 9, 12]
    assert teacher_layers("uniform", 4, 6) == [1, 3, 4, 6]
    assert teacher_layers("first", 3, 12) == [1, 2, 3]
    assert teacher_layers("last", 3, 12) == [10, 11, 12]
    assert teacher_layers("custom:1,3,5", 3, 6) == [2, 4, 6]


@given(
    st.integers(1, 24).flatmap(lambda teacher: st.tuples(st.integers(1, teacher), st.just(teacher))),
    st.sampled_from(["uniform", "first", "last"]),
)
def test_matched_layers_rise_and_exist(depths, matching):
    """Two student layers matched with one teacher layer would count its loss twice."""
    found = teacher_layers(matching, *depths)
    assert found == sorted(set(found)) and found[0] >= 1 and found[-1] <= depths[1]
    if matching != "first":
        assert found[-1] == depths[1]


@pytest.mark.parametrize(
    "matching",
    [
        "custom:",
        "custom:1,2",
        "custom:1,2,6",
        "custom:-1,2,3",
        "custom:3,2,1",
        "custom:1,1,2",
        "custom:a,b,c",
        "custom:1,2,3,4",
    ],
)
def test_custom_lists_that_do_not_fit_are_refused(matching):
    """A list that is cut or padded to fit would match other layers than were asked for."""
    with pytest.raises(RequestError, match="3 rising teacher layers from 0 to 5 .the lowest is 0;") as caught:
        match_layers(matching, 3, 6)
    assert caught.value.field == "matching"


def test_a_student_deeper_than_its_teacher_is_refused_with_both_numbers():
    """There is nothing to match the extra layers with."""
    with pytest.raises(RequestError, match="at most 6, the teacher's layers, got 7") as caught:
        match_layers("uniform", 7, 6)
    assert caught.value.field == "student_layers"


def test_minilm_is_the_one_in_the_design(minilm_folder):
    """Another upload under the same package name would give other numbers under the same fingerprint."""
    checkpoint = resolve("minilm-l6")
    assert checkpoint.weights_sha256 == MINILM_SHA256 and checkpoint.folder == minilm_folder
    entry = TEACHERS["minilm-l6"]
    assert (
        (checkpoint.num_layers, checkpoint.num_heads, checkpoint.hidden_size)
        == (entry.num_layers, entry.num_heads, entry.hidden_size)
        == (6, 12, 384)
    )
    assert num_parameters(load_classifier(minilm_folder, 2).bert.encoder) == 6 * 1_774_464


def test_a_bert_base_student_has_the_papers_parameters():
    """85.6 M → 43.1 M without embeddings, pooler included: the number that the paper's cost rests on."""
    from transformers import BertConfig, BertForSequenceClassification

    with torch.device("meta"):
        for depth, millions in ((12, 85.6), (6, 43.1)):
            model = BertForSequenceClassification(BertConfig(num_hidden_layers=depth))
            assert (
                round((num_parameters(model.bert.encoder) + num_parameters(model.bert.pooler)) / 1e6, 1)
                == millions
            )


@pytest.fixture(scope="module")
def models(tiny_checkpoint: Path):
    """(fine-tuned teacher stand-in, pretrained source): the same shapes, other weights."""
    teacher, source = (
        load_classifier(tiny_checkpoint, 3, torch.Generator().manual_seed(seed)) for seed in (0, 1)
    )
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.01)
    return teacher, source


def build(models, init: str, matching: str = "uniform", num_layers: int = 2):
    teacher, source = models
    return build_student(
        init=init,
        pairs=match_layers(matching, num_layers, 4),
        teacher=teacher,
        source=source,
        generator=torch.Generator().manual_seed(7),
    )


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("matching", ["uniform", "first", "last", "custom:0,3"])
def test_a_students_layers_start_from_the_layers_they_are_matched_with(models, matching):
    """The paper copies the matched layers; the lowest k, a common shortcut, starts from another model."""
    teacher, source = models
    pretrained, finetuned = build(models, "pretrained", matching), build(models, "teacher", matching)
    for own, other in match_layers(matching, 2, 4):
        assert same(pretrained.bert.encoder.layer[own], source.bert.encoder.layer[other])
        assert same(finetuned.bert.encoder.layer[own], teacher.bert.encoder.layer[other])
    assert same(pretrained.bert.embeddings, source.bert.embeddings) and same(
        pretrained.bert.pooler, source.bert.pooler
    )
    assert not same(pretrained.classifier, source.classifier) and not same(
        pretrained.classifier, teacher.classifier
    )
    assert same(finetuned.classifier, teacher.classifier) and same(
        finetuned.bert.embeddings, teacher.bert.embeddings
    )


def test_a_random_student_shares_nothing_and_follows_its_seed(models):
    """A 'random' student with copied embeddings would learn from the teacher before the first step."""
    teacher, source = models
    one, again = build(models, "random"), build(models, "random")
    assert same(one, again)
    copied = [
        name
        for name, tensor in one.state_dict().items()
        if any(
            name in model.state_dict() and tensor.ndim == 2 and torch.equal(tensor, model.state_dict()[name])
            for model in models
        )
    ]
    assert not copied
    assert one.bert.encoder.layer[0].attention.self.query.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_building_a_student_changes_neither_model(models):
    """Layers that are shared instead of copied would train the teacher together with the student."""
    before = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models]
    for init in ("pretrained", "teacher", "random"):
        student = build(models, init)
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(1.0)
    for model, states in zip(models, before):
        assert all(torch.equal(tensor, states[name]) for name, tensor in model.state_dict().items())
        assert model.config.num_hidden_layers == 4 and model.config.num_labels == 3


def test_a_saved_student_loads_with_plain_transformers(models, tiny_checkpoint, tmp_path):
    """The contract's promise to strangers: a wrong config would load, with freshly drawn layers and a warning
    at most.
    """
    student = build(models, "teacher")
    save_model(student, tiny_checkpoint, tmp_path / "student")
    loaded, report = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "student", output_loading_info=True, local_files_only=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert same(loaded, student) and loaded.config.num_labels == 3 and loaded.config.num_hidden_layers == 2
    text = "The dog sees the cat."
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "student", local_files_only=True)(text)["input_ids"]
        == Tokenizer(tiny_checkpoint, 32).encode(text)[0]
    )


def refused(folder: Path | str, match: str, field: str = "teacher") -> None:
    with pytest.raises(RequestError, match=match) as caught:
        resolve(str(folder), field=field)
    assert caught.value.field == field and "\n" not in str(caught.value)


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_damaged_weights_are_refused_in_one_line(copy):
    """A file that was cut by a broken download would otherwise end a run late, with a stack trace."""
    content = (copy / "model.safetensors").read_bytes()
    for damaged in (content[:-1000], content[:3], b"", b"\xff" * 100):
        (copy / "model.safetensors").write_bytes(damaged)
        refused(copy, "damaged")


def test_folders_that_are_no_bert_checkpoint_are_refused_in_one_line(copy, tmp_path):
    """Each would otherwise fail deep inside a library, after data and teacher were prepared."""
    change_config(copy, model_type="gpt2")
    refused(copy, r"known encoder family \(BERT, .*MPNet\), got model_type 'gpt2'")
    (copy / "config.json").write_text("{")
    refused(copy, "readable config.json")
    (copy / "config.json").unlink()
    refused(copy, "readable config.json")
    refused(tmp_path / "nowhere", "a local folder or a hub id")
    refused("no-such-teacher", "expected one of minilm-l6, mpnet-base, bert-base")
    refused("../../nowhere", "expected one of")


def test_pickled_weights_are_never_read(copy):
    """Unpickling runs whatever code the file holds."""
    (copy / "model.safetensors").unlink()

    class Bomb:
        def __reduce__(self):
            return Path.touch, (copy / "exploded",)

    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    refused(copy, "pickled weights are not read where they are more than tensors")
    assert not (copy / "exploded").exists()


def test_code_that_comes_with_a_checkpoint_is_never_run(copy):
    """`auto_map` names Python files in the folder; asking whether to trust them would hang a server."""
    (copy / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(copy / 'exploded')!r}).touch()\nclass Model: pass\nclass "
        "Tokens: pass\n"
    )
    change_config(
        copy, auto_map={"AutoConfig": "evil.Model", "AutoModelForSequenceClassification": "evil.Model"}
    )
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(
        json.dumps({**tokenizer, "auto_map": {"AutoTokenizer": ["evil.Tokens", "evil.Tokens"]}})
    )
    load_classifier(resolve(str(copy)).folder, 2)
    Tokenizer(copy, 16)
    assert not (copy / "exploded").exists()


@pytest.mark.parametrize(
    "change",
    [
        dict(num_hidden_layers=6),
        dict(hidden_size=64),
        dict(vocab_size=100),
        dict(max_position_embeddings=512),
        dict(num_attention_heads=5),
        dict(num_hidden_layers="4"),
    ],
)
def test_weights_that_are_not_those_of_the_config_are_refused(copy, change):
    """transformers draws what is missing or of another size at random and goes on: a teacher with two random
    layers.
    """
    change_config(copy, **change)
    refused(copy, "expected")


def test_a_missing_encoder_parameter_is_refused(copy):
    """One lost tensor would be drawn at random, with a warning nobody reads."""
    state = load_file(copy / "model.safetensors")
    del state["encoder.layer.2.output.dense.weight"]
    save_file(state, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(RequestError, match="encoder.layer.2.output.dense.weight"):
        load_classifier(copy, 2)


def test_half_precision_checkpoints_are_loaded_in_float32(copy):
    """transformers loads in the stored precision, and sets torch's default for every thread while it does."""
    save_file(
        {name: tensor.half() for name, tensor in load_file(copy / "model.safetensors").items()},
        copy / "model.safetensors",
        {"format": "pt"},
    )
    change_config(copy, dtype="float16")
    model = load_classifier(copy, 2)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("settings", "what", "numbers"),
    [
        (dict(num_attention_heads=2), "heads", (4, 2)),
        (dict(hidden_size=64), "width", (32, 64)),
        (dict(vocab_size=200), "vocabulary", (30522, 200)),
    ],
)
def test_teacher_and_student_that_do_not_fit_are_refused_with_both_numbers(
    tiny_checkpoint, minilm_folder, tmp_path, settings, what, numbers
):
    """Maps of 12 and of 4 heads, or vectors of two widths, cannot be compared; a projection would be another
    method.
    """
    other = resolve(
        str(write_tiny_checkpoint(tmp_path / "other", minilm_folder, **settings)), field="student_checkpoint"
    )
    with pytest.raises(RequestError, match=f"{what}.*has {numbers[0]}.*has {numbers[1]}") as caught:
        check_fit(resolve(str(tiny_checkpoint)), other, 32)
    assert caught.value.field == "student_checkpoint"


def test_a_text_longer_than_the_positions_is_refused(tiny_checkpoint, minilm_folder, tmp_path):
    """A position beyond the table is an index error in the middle of an epoch."""
    short = resolve(str(write_tiny_checkpoint(tmp_path / "short", minilm_folder, max_position_embeddings=24)))
    with pytest.raises(RequestError, match="at most 24 .*teacher 64, student 24.*got 32") as caught:
        check_fit(resolve(str(tiny_checkpoint)), short, 32)
    assert caught.value.field == "max_length"
    check_fit(resolve(str(tiny_checkpoint)), short, 24)


def test_models_are_called_the_same_only_where_every_bit_is():
    """Taken for another, a student would be told the other's score before training."""

    def model(last: float = 1.0, dtype=torch.float32) -> torch.nn.Module:
        found = torch.nn.Linear(3, 2).to(dtype)
        with torch.no_grad():
            found.weight.fill_(0.5)
            found.bias.copy_(torch.tensor([0.0, last]))
        found.register_buffer("steps", torch.tensor(3))
        return found

    assert weights_digest(model()) == weights_digest(model())
    nearly = float(np.nextafter(np.float32(1), np.float32(2)))
    others = {weights_digest(each) for each in (model(nearly), model(dtype=torch.bfloat16), model(-1.0))}
    assert len(others | {weights_digest(model())}) == 4
