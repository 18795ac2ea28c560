"""Checkpoints as people have them: the same model in every form."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from checkpoint_folders import as_bin, change_json, change_weights, check, shards
from conftest import write_tiny_checkpoint
from safetensors.torch import save_file, save_model
from transformers import AutoModelForMaskedLM

from kdviz.models.build import load_classifier
from kdviz.models.weights_files import find_weights
from kdviz.training.request import resolve_request


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def old_names(tensors: dict) -> dict:
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in tensors.items()
    }


def with_heads(tensors: dict) -> dict:
    """As the pre-training checkpoints of the hub: prefix, masked-word and next-sentence heads, counters."""
    return {
        **{f"bert.{name}": value for name, value in tensors.items()},
        "bert.embeddings.position_ids": torch.arange(64)[None],
        "cls.predictions.bias": torch.zeros(30522),
        "cls.predictions.transform.dense.weight": torch.zeros(32, 32),
        "cls.seq_relationship.weight": torch.zeros(2, 32),
    }


def inside(tensors: dict, wrapper: str) -> dict:
    """Names as wrappers of the whole and of every layer leave them."""
    return {
        wrapper + re.sub(r"(layer\.\d+\.)", rf"\1{wrapper}", name): value for name, value in tensors.items()
    }


FORMS = {
    "old names": lambda folder: change_weights(folder, old_names),
    "prefix and other heads": lambda folder: change_weights(folder, with_heads),
    "data parallel": lambda folder: change_weights(
        folder, lambda tensors: {f"module.bert.{name}": value for name, value in tensors.items()}
    ),
    "compiled": lambda folder: change_weights(
        folder, lambda tensors: {f"_orig_mod.module.{name}": value for name, value in tensors.items()}
    ),
    "an outer model's prefix": lambda folder: change_weights(
        folder, lambda tensors: {f"model.bert.{name}": value for name, value in tensors.items()}
    ),
    "shards": lambda folder: shards(folder, "safetensors", save_file),
    "bin": as_bin,
    "bin of before 2020": lambda folder: as_bin(folder, _use_new_zipfile_serialization=False),
    "bin in shards": lambda folder: shards(folder, "bin", torch.save),
    "bin with old names and heads": lambda folder: (
        change_weights(folder, lambda tensors: with_heads(old_names(tensors))),
        as_bin(folder),
    ),
    "FSDP": lambda folder: change_weights(
        folder, lambda tensors: inside(tensors, "_fsdp_wrapped_module._checkpoint_wrapped_module.")
    ),
    "layers compiled one by one": lambda folder: change_weights(
        folder, lambda tensors: inside(tensors, "_orig_mod.")
    ),
    "a counter": lambda folder: change_weights(
        folder, lambda tensors: tensors | {"global_step": torch.tensor(3)}
    ),
    "a width that BERT does not read": lambda folder: change_json(folder / "config.json", embedding_size=128),
    "float64": lambda folder: change_weights(
        folder, lambda tensors: {name: value.double() for name, value in tensors.items()}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_weights_in_every_form_are_the_same_model(copy, tiny_checkpoint, form):
    """A tensor not found under its name would be drawn at random, with a warning that nobody reads."""
    FORMS[form](copy)
    models = check(copy)
    assert models.teacher.num_layers == 4 and models.teacher.num_labels is None
    original = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    loaded = load_classifier(copy, 2, torch.Generator().manual_seed(0))
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_half_precision_is_read_into_float32(copy, tiny_checkpoint, dtype, form):
    """Half precision that stayed half would change every number of the run."""
    change_weights(copy, lambda tensors: {name: value.to(dtype) for name, value in tensors.items()})
    change_json(copy / "config.json", dtype=str(dtype).removeprefix("torch."))
    if form == "bin":
        as_bin(copy)
    check(copy)
    loaded, original = (load_classifier(folder, 2).state_dict() for folder in (copy, tiny_checkpoint))
    for name, tensor in original.items():
        if not name.startswith("classifier"):
            assert loaded[name].dtype == torch.float32
            assert torch.equal(loaded[name], tensor.to(dtype).float()), name


def test_a_vocabulary_padded_beyond_the_tokenizers_is_used(minilm_folder, tmp_path):
    """Tables are rounded up to a multiple of 8 or 64 for speed; the rows are never asked for."""
    folder = write_tiny_checkpoint(tmp_path / "padded", minilm_folder, vocab_size=30528)
    assert check(folder).teacher.vocab_size == 30528


def test_a_table_with_many_spare_rows_is_used_and_warned_of(tiny, minilm_folder, tmp_path):
    """Models were published with 50,000 rows for 30,000 words; every id fits."""
    folder = write_tiny_checkpoint(tmp_path / "spare", minilm_folder, vocab_size=50000)
    (warning,) = resolve_request(tiny.config(teacher=str(folder))).warnings
    assert "has 30,522 words, and the model's table 50,000 rows" in warning


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet"])
def test_a_name_that_safetensors_keeps_under_another_is_found(checkpoints, tmp_path, name):
    """save_model writes the word table under the head's name alone, and tells so beside the tensors."""
    copy = Path(shutil.copytree(checkpoints[name], tmp_path / "copy"))
    model = AutoModelForMaskedLM.from_pretrained(copy)
    save_model(model, str(copy / "model.safetensors"))
    check(copy)
    loaded, original = (
        load_classifier(folder, 2).base_model.state_dict() for folder in (copy, checkpoints[name])
    )
    for key, tensor in original.items():
        assert key.startswith("pooler") or torch.equal(loaded[key], tensor), key


def test_safetensors_come_before_the_pickle_beside_them(copy):
    """Most repositories hold both; the pickle need not even be opened."""
    torch.save({"nonsense": torch.zeros(1)}, copy / "pytorch_model.bin")
    assert [path.name for path in find_weights(copy).files] == ["model.safetensors"]
    check(copy)


def test_a_folder_anywhere_and_a_cache_of_links(copy, tmp_path):
    """Blanks and letters of any script in a path, and the hub's cache, which is made of symbolic links."""
    far = tmp_path / "my models ü" / "модель 模型"
    far.mkdir(parents=True)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(copy.iterdir())):
        path.rename(blobs / str(number))
        (far / path.name).symlink_to(os.path.relpath(blobs / str(number), far))
    assert check(far).teacher.folder == far
    load_classifier(far, 2)


@pytest.mark.parametrize(
    "settings",
    [
        dict(
            return_dict=False,
            output_attentions=True,
            chunk_size_feed_forward=7,
            finetuning_task="mnli",
            task_specific_params={"x": 1},
            layer_types=["full_attention"] * 4,
            gradient_checkpointing=True,
        ),
        dict(_attn_implementation="flash_attention_2", auto_map={"AutoModel": "modeling.Model"}),
    ],
)
def test_how_a_model_ran_elsewhere_is_not_how_it_runs_here(tiny, copy, settings):
    """Each of these ended a run that had trained to its end, or came with student/ to whoever loads it. A
    layer that runs again in the backward pass would draw other dropout there.
    """
    change_json(copy / "config.json", **settings)
    layers = load_classifier(copy, 2).get_submodule("bert.encoder.layer")
    assert not any(layer.gradient_checkpointing for layer in layers)
    run = tiny.run(teacher=str(copy), epochs=1, teacher_epochs=1)
    assert run.state == "finished"
    kept = json.loads((run.folder / "student" / "config.json").read_text())
    assert kept["chunk_size_feed_forward"] == 0 and kept["return_dict"] is True
    assert not {"auto_map", "finetuning_task", "task_specific_params", "attn_implementation"} & set(kept)
