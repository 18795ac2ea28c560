"""Checkpoints that cannot be used: refused in one line that names the cause, and never run."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_folders import as_bin, change_json, change_weights, check, shards
from families import write_family_checkpoint
from safetensors.torch import load_file, save_file

from kdviz.errors import RequestError


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def refused(folder: Path, match: str, **settings: object) -> str:
    """The check refuses in one line, and leaves the folder as it was."""
    before = sorted(folder.rglob("*")) if folder.is_dir() else None
    with pytest.raises(RequestError, match=match) as caught:
        check(folder, **settings)
    assert "\n" not in str(caught.value) and caught.value.field in ("teacher", "teacher_epochs")
    assert before is None or sorted(folder.rglob("*")) == before
    return str(caught.value)


class Bomb:
    """Code that runs when it is unpickled by anything that unpickles."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def cut(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def point_elsewhere(folder: Path) -> None:
    weight_map = shards(folder, "safetensors", save_file)
    first, second = sorted(set(weight_map.values()))[:2]
    moved = {name: second if file == first else file for name, file in weight_map.items()}
    change_json(folder / "model.safetensors.index.json", weight_map=moved)


def outside(folder: Path) -> None:
    weight_map = shards(folder, "safetensors", save_file)
    change_json(
        folder / "model.safetensors.index.json",
        weight_map={name: f"../{folder.name}/{file}" for name, file in weight_map.items()},
    )


def lose_a_shard(folder: Path) -> None:
    shards(folder, "safetensors", save_file)
    (folder / "model-00002-of-00003.safetensors").unlink()


def bomb(folder: Path, **options: object) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(1), "b": Bomb(folder / "exploded")}, folder / "pytorch_model.bin", **options)


def bare_bomb(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(folder / "exploded")))


def compressed(folder: Path) -> None:
    as_bin(folder)
    packed = folder / "packed.zip"
    with (
        zipfile.ZipFile(folder / "pytorch_model.bin") as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    packed.replace(folder / "pytorch_model.bin")


def training_state(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({"epoch": 3, "state_dict": tensors}, folder / "pytorch_model.bin")


def a_nan(folder: Path, value: float = float("nan"), dtype: torch.dtype = torch.float32) -> None:
    def change(tensors: dict) -> dict:
        tensors["encoder.layer.1.output.dense.bias"][3] = value
        return {name: tensor.to(dtype) for name, tensor in tensors.items()}

    change_weights(folder, change)


def change_tokenizer(folder: Path, change) -> None:
    """Change tokenizer.json, and have it read as it is."""
    path = folder / "tokenizer.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")
    change_json(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def words_alone(folder: Path, keep: int) -> None:
    """A vocabulary of the first words, and no tokenizer.json."""
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (folder / "vocab.txt").write_text("\n".join(words[:keep]) + "\n", encoding="utf-8")


def keep_as(folder: Path, name: str, *beside: str) -> None:
    """The weights under another name, and empty files beside them."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / "model.safetensors").rename(folder / name)
    for other in beside:
        (folder / other).write_text("")


def without_known_frame(folder: Path) -> None:
    """A padded table, and a vocabulary whose <s> and </s> nothing names."""
    words_alone(folder, keep=30000)
    words = (folder / "vocab.txt").read_text(encoding="utf-8")
    (folder / "vocab.txt").write_text(words.replace("[CLS]\n[SEP]", "<s>\n</s>"), encoding="utf-8")


def torchscript(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(folder / "pytorch_model.bin"))


def sparse(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    torch.save({**tensors, name: tensors[name].to_sparse()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def broken_link(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("nowhere")


def only(folder: Path, files: dict[str, str]) -> None:
    """Nothing but these files."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)


def into(folder: Path, below: str) -> None:
    """Move the checkpoint below its own folder."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    (folder / below).parent.mkdir(parents=True)
    aside.rename(folder / below)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 440449768\n"


HOSTILE = {
    "cut in the middle": (lambda f: cut(f / "model.safetensors", 0.5), "damaged"),
    "cut header": (lambda f: cut(f / "model.safetensors", 0.001), "damaged"),
    "empty": (lambda f: cut(f / "model.safetensors", 0), "damaged"),
    "cut bin": (lambda f: (as_bin(f), cut(f / "pytorch_model.bin", 0.5)), "damaged"),
    "cut old bin": (
        lambda f: (as_bin(f, _use_new_zipfile_serialization=False), cut(f / "pytorch_model.bin", 0.5)),
        "damaged",
    ),
    "code": (bomb, "asks for (posix|nt).mkdir; none of its code was run"),
    "code of before 2020": (lambda f: bomb(f, _use_new_zipfile_serialization=False), "asks for .*mkdir"),
    "nothing but code": (bare_bomb, "pickled weights are not read where they are more than tensors"),
    "a compressed bin": (compressed, "not as torch writes it"),
    "a training state": (training_state, "training state, its weights under 'state_dict'"),
    "an index that is wrong": (point_elsewhere, "index .* which does not have it"),
    "an index that leads outside": (outside, "files of the same folder"),
    "a lost shard": (lose_a_shard, "come in 3 files, 'model-00002-of-00003.safetensors' is missing"),
    "shards without an index": (
        lambda f: (shards(f, "safetensors", save_file), (f / "model.safetensors.index.json").unlink()),
        "shards without their index",
    ),
    "a pointer for weights": (lambda f: (f / "model.safetensors").write_text(POINTER), "git-lfs pointer"),
    "a pointer for the tokenizer": (lambda f: (f / "tokenizer.json").write_text(POINTER), "git-lfs pointer"),
    "a pointer for the config": (lambda f: (f / "config.json").write_text(POINTER), "git-lfs pointer"),
    "a web page": (lambda f: (f / "model.safetensors").write_text("<!DOCTYPE html><p>404"), "web page"),
    "a pipe": (
        lambda f: ((f / "model.safetensors").unlink(), os.mkfifo(f / "model.safetensors")),
        "is not a file",
    ),
    "a dangling link": (
        lambda f: ((f / "model.safetensors").unlink(), (f / "model.safetensors").symlink_to("nowhere")),
        "cannot be read",
    ),
    "a dangling link for the tokenizer": (lambda f: broken_link(f, "tokenizer.json"), "json cannot be read"),
    "a dangling link for its settings": (
        lambda f: broken_link(f, "tokenizer_config.json"),
        "tokenizer_config.json cannot be read",
    ),
    "a dangling link for the index": (
        lambda f: (as_bin(f), broken_link(f, "model.safetensors.index.json")),
        "index.json cannot be read",
    ),
    "a deep config": (lambda f: (f / "config.json").write_text("[" * 100_000), "readable config.json"),
    "a config that is a list": (lambda f: (f / "config.json").write_text("[]"), "expected an object"),
    "no model_type": (lambda f: change_json(f / "config.json", model_type=...), "key model_type is missing"),
    "another family": (lambda f: change_json(f / "config.json", model_type="gpt2"), "known encoder family"),
    "a million layers": (lambda f: change_json(f / "config.json", num_hidden_layers=10**6), "layers"),
    "fewer layers": (lambda f: change_json(f / "config.json", num_hidden_layers=2), "2 layers, and the .* 4"),
    "a decoder": (lambda f: change_json(f / "config.json", is_decoder=True), "is_decoder"),
    "relative positions": (
        lambda f: change_json(f / "config.json", position_embedding_type="relative_key_query"),
        "position_embedding_type",
    ),
    "relative positions, silently": (
        lambda f: change_weights(
            f,
            lambda t: t | {"encoder.layer.0.attention.self.distance_embedding.weight": torch.randn(127, 8)},
        ),
        "distance_embedding.weight, which BERT .* does not have",
    ),
    "quantised": (
        lambda f: change_json(f / "config.json", quantization_config={"load_in_8bit": True}),
        "quantised",
    ),
    "quantised biases": (
        lambda f: change_weights(
            f,
            lambda state: {
                name: tensor.to(torch.int8) if name.endswith("query.bias") else tensor
                for name, tensor in state.items()
            },
        ),
        "query.bias holds I8, .* quantised",
    ),
    "a classifier in whole numbers": (
        lambda f: change_weights(f, lambda state: state | {"classifier.weight": torch.ones(2, 32).long()}),
        "classifier.weight holds I64, .* quantised",
    ),
    "quantised weights": (
        lambda f: change_weights(
            f,
            lambda t: {
                name: (value * 100).to(torch.int8) if name.endswith("query.weight") else value
                for name, value in t.items()
            },
        ),
        "quantised",
    ),
    "pruned": (lambda f: change_json(f / "config.json", pruned_heads={"0": [1]}), "pruned_heads"),
    "an activation nobody knows": (lambda f: change_json(f / "config.json", hidden_act="nope"), "nope"),
    "NaN": (a_nan, "layer.1.output.dense.bias holds numbers that are not finite"),
    "infinity in half precision": (lambda f: a_nan(f, float("inf"), torch.bfloat16), "not finite"),
    "NaN in a bin": (lambda f: (a_nan(f), as_bin(f)), "not finite"),
    "NaN in a classifier": (
        lambda f: change_weights(
            f,
            lambda t: {
                **{f"bert.{name}": value for name, value in t.items()},
                "classifier.weight": torch.full((2, 32), float("nan")),
                "classifier.bias": torch.zeros(2),
            },
        ),
        "classifier.weight holds numbers that are not finite",
    ),
    "a sparse tensor": (sparse, "word_embeddings.weight in .* is a sparse tensor"),
    "a missing parameter": (
        lambda f: change_weights(
            f, lambda t: {n: v for n, v in t.items() if n != "encoder.layer.2.output.dense.weight"}
        ),
        "layer.2.output.dense.weight .*none",
    ),
    "an intermediate size that is not the weights'": (
        lambda f: change_json(f / "config.json", intermediate_size=128),
        r"\[128, 32\], got \[64, 32\]",
    ),
    "an adapter": (
        lambda f: only(f, {"adapter_config.json": "{}", "adapter_model.safetensors": ""}),
        r"adapter \(LoRA\)",
    ),
    "an adapter that is not merged": (
        lambda f: change_weights(
            f, lambda t: {n.replace("query.weight", "query.base_layer.weight"): v for n, v in t.items()}
        ),
        "not merged",
    ),
    "an adapter's copy of the classifier": (
        lambda f: change_weights(
            f,
            lambda t: {
                **t,
                "classifier.original_module.weight": torch.zeros(2, 32),
                "classifier.modules_to_save.default.weight": torch.ones(2, 32),
            },
        ),
        "not merged",
    ),
    "the top of a hub cache": (lambda f: into(f, "snapshots/abc"), "choose .*snapshots/abc"),
    "a Trainer's output": (lambda f: into(f, "checkpoint-500"), "choose .*checkpoint-500"),
    "a folder of a run": (
        lambda f: (
            into(f, "student"),
            (f / "config.json").write_text('{"format_version": 1, "task": "cola"}'),
        ),
        "config.json in .* is not a model's; did you mean .*copy/student",
    ),
    "one folder too high": (lambda f: into(f, "0_Transformer"), "did you mean .*0_Transformer"),
    "an empty folder": (lambda f: (shutil.rmtree(f), f.mkdir()), "the folder is empty"),
    "another program's export": (
        lambda f: keep_as(f, "openvino_model.bin", "openvino_model.xml"),
        "openvino_model.bin: an exported model",
    ),
    "an export in a folder below": (lambda f: keep_as(f, "onnx/model.onnx"), "onnx/model.onnx: an exported"),
    "Rust's weights": (lambda f: keep_as(f, "rust_model.ot"), "rust_model.ot: Rust's weights"),
    "FSDP's pieces": (
        lambda f: keep_as(f, "pytorch_model_fsdp_0/__0_0.distcp"),
        "__0_0.distcp: the state of a distributed training",
    ),
    "an export without a config": (
        lambda f: (keep_as(f, "model.gguf"), (f / "config.json").unlink()),
        "config.json in .*, found none but model.gguf: an exported model",
    ),
    "weights without a config": (
        lambda f: (f / "config.json").unlink(),
        "none but model.safetensors: weights alone, .* add its config.json",
    ),
    "other weights": (
        lambda f: (f / "model.safetensors").rename(f / "tf_model.h5"),
        "TensorFlow",
    ),
    "no tokenizer": (
        lambda f: [(f / name).unlink() for name in ("tokenizer.json", "vocab.txt")],
        "expected tokenizer.json or vocab.txt",
    ),
    "settings that a tokenizer cannot take": (
        lambda f: change_json(f / "tokenizer_config.json", add_special_tokens=False),
        "cannot be built .* look at its special_tokens_map.json, tokenizer_config.json, or remove them",
    ),
    "settings with a comma too much": (
        lambda f: (f / "tokenizer_config.json").write_text('{"do_lower_case": true,}'),
        "cannot be built .* look at its tokenizer_config.json, or remove that: tokenizer.json is enough",
    ),
    "names of special tokens that are cut": (
        lambda f: (f / "special_tokens_map.json").write_text('{"cls_token": '),
        "cannot be built .* look at its special_tokens_map.json, or remove that",
    ),
    "a setting in quotes, and no tokenizer.json": (
        lambda f: (
            words_alone(f, keep=30522),
            change_json(f / "tokenizer_config.json", do_lower_case="false"),
        ),
        "cannot be built .*; look at its tokenizer_config.json, or choose a checkpoint with a tokenizer.json",
    ),
    "added words in a list, and no tokenizer.json": (
        lambda f: (words_alone(f, keep=30522), (f / "added_tokens.json").write_text('["[E1]"]')),
        "cannot be built .*; mend its added_tokens.json",
    ),
    "classes in quotes": (lambda f: change_json(f / "config.json", num_labels="2"), "says num_labels: '2'"),
    "more classes than any model has": (
        lambda f: change_json(f / "config.json", num_labels=10**9),
        "says num_labels: 1000000000, which is no number of classes",
    ),
    "a frame that has no name": (
        lambda f: (
            words_alone(f, keep=30522),
            change_json(f / "tokenizer_config.json", cls_token=None, sep_token=None),
        ),
        r"puts \[unused\d+\] around a text, which is none of its special tokens",
    ),
    "a frame that no file has": (
        without_known_frame,
        r"puts \[(CLS|SEP)\] around a text, which none of its files has",
    ),
    "a broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer .*cannot be built"),
    "a tokenizer that needs a package": (
        lambda f: (
            (f / "tokenizer.json").unlink(),
            (f / "tokenizer_config.json").write_text(
                '{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}'
            ),
        ),
        "cannot be built .*needs the package|cannot be built",
    ),
    "no token types": (lambda f: change_json(f / "config.json", type_vocab_size=0), "type_vocab_size"),
    "weights drawn with a negative width": (
        lambda f: change_json(f / "config.json", initializer_range=-1),
        "says initializer_range: -1, which is no number from 0",
    ),
    "an epsilon in quotes": (
        lambda f: change_json(f / "config.json", layer_norm_eps="1e-12"),
        "layer_norm_eps",
    ),
    "a dropout of everything": (
        lambda f: change_json(f / "config.json", hidden_dropout_prob=1.0),
        "hidden_dropout_prob: 1.0, which is no share below 1",
    ),
    "words that see only those before": (
        lambda f: change_json(f / "config.json", is_causal=True),
        "says is_causal: True, so each word sees only those before it",
    ),
    "layers with a window": (
        lambda f: change_json(f / "config.json", layer_types=["full_attention", "sliding_attention"] * 2),
        "says layer_types: .* only layers in which each word sees all",
    ),
    "weights in another file than usual": (
        lambda f: change_json(f / "config.json", transformers_weights="other.safetensors"),
        "transformers reads another file than kdviz would",
    ),
    "a dropout that is NaN": (
        lambda f: change_json(f / "config.json", hidden_dropout_prob=float("nan")),
        "hidden_dropout_prob: nan, which is no share",
    ),
    "a config with a byte-order mark": (
        lambda f: (f / "config.json").write_bytes(b"\xef\xbb\xbf" + (f / "config.json").read_bytes()),
        "config.json begins with a byte-order mark",
    ),
    "classes in a list": (
        lambda f: change_json(f / "config.json", id2label=["a", "b"]),
        "copy: config.json cannot be used",
    ),
    "an activation that is a number": (
        lambda f: change_json(f / "config.json", hidden_act=3),
        "copy: config.json",
    ),
    "a pickle under another name": (
        lambda f: (as_bin(f), (f / "pytorch_model.bin").rename(f / "model.pt")),
        "call them pytorch_model.bin",
    ),
    "a pickle called safetensors": (
        lambda f: (as_bin(f), (f / "pytorch_model.bin").rename(f / "model.safetensors")),
        "holds a pickle under the name of safetensors; call it pytorch_model.bin",
    ),
    "a pickle of before 2020 called safetensors": (
        lambda f: (
            as_bin(f, _use_new_zipfile_serialization=False),
            (f / "pytorch_model.bin").rename(f / "model.safetensors"),
        ),
        "holds a pickle under the name of safetensors",
    ),
    "safetensors called a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "holds safetensors under the name of a pickle; call it model.safetensors",
    ),
    "TorchScript": (torchscript, "pytorch_model.bin is a TorchScript module"),
    "a vocabulary with a byte-order mark": (
        lambda f: (f / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + (f / "vocab.txt").read_bytes()),
        "vocab.txt begins with a byte-order mark",
    ),
    "a vocabulary that is cut": (lambda f: words_alone(f, keep=3000), "has 3,000 words, and .* table 30,522"),
    "an added word of another number": (
        lambda f: (words_alone(f, keep=30000), (f / "added_tokens.json").write_text('{"[E1]": 30500}')),
        r"says that '\[E1\]' is number 30500, .* makes it 30000",
    ),
    "a word that was put into vocab.txt alone": (
        lambda f: (f / "vocab.txt").write_text(
            (f / "vocab.txt").read_text(encoding="utf-8").replace("[unused1]\n", "covid\n"), encoding="utf-8"
        ),
        r"vocab.txt says that 'covid' is number 2, and tokenizer.json, .* makes it none; remove the one",
    ),
    "words that changed places in vocab.txt alone": (
        lambda f: (f / "vocab.txt").write_text(
            (f / "vocab.txt").read_text(encoding="utf-8").replace("\nthe\nof\n", "\nof\nthe\n"),
            encoding="utf-8",
        ),
        r"vocab.txt says that 'of' is number 1996, and tokenizer.json, .* makes it 1997",
    ),
    "a padding token in quotes": (lambda f: change_json(f / "config.json", pad_token_id="0"), "pad_token_id"),
    "a vocabulary without the unknown token": (
        lambda f: change_tokenizer(f, lambda value: value["model"].update(unk_token="[NOPE]")),
        "cannot encode",
    ),
    "a tokenizer without its frame": (
        lambda f: change_tokenizer(f, lambda value: value.update(post_processor=None)),
        "no token of its own in front of a text",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_cannot_be_used_is_refused_in_one_line_that_names_the_cause(copy, case):
    """Each of these folders is one that people have; a line about another cause sends them the wrong way."""
    change, match = HOSTILE[case]
    change(copy)
    refused(copy, match)
    assert not (copy / "exploded").exists()


def test_positions_counted_from_no_padding_are_refused(checkpoints, tmp_path):
    """transformers compares every id with None and fails in the middle of the run."""
    copy = Path(shutil.copytree(checkpoints["roberta"], tmp_path / "copy"))
    change_json(copy / "config.json", pad_token_id=None)
    refused(copy, "pad_token_id: None, and RoBERTa counts positions from it")
    change_json(copy / "config.json", pad_token_id=...)
    check(copy)


def test_fewer_of_mpnets_relative_positions_than_are_looked_up_are_refused(minilm_folder, tmp_path):
    """transformers looks up 32 whatever the config says: the run ended with an IndexError."""
    folder = write_family_checkpoint(
        tmp_path / "mpnet", "mpnet", minilm_folder, relative_attention_num_buckets=16
    )
    refused(folder, "says relative_attention_num_buckets: 16, and transformers looks up 32")


def test_merges_that_make_none_of_the_words_are_refused(checkpoints, tmp_path):
    """A merges.txt that is cut leaves every word in single letters, which most of a vocabulary is not for."""
    copy = Path(shutil.copytree(checkpoints["roberta"], tmp_path / "copy"))
    model = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (copy / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
    check(copy)
    (copy / "merges.txt").write_text("\n".join(merges[:4]), encoding="utf-8")
    refused(copy, r"merges make 3 of the \d+ longer words in its vocabulary: its merges.txt is cut")


def test_a_tokenizer_that_cuts_at_random_is_refused(checkpoints, tmp_path):
    """Kept words would be one throw of the dice, and student/ would read other ones: found after training."""
    copy = Path(shutil.copytree(checkpoints["roberta"], tmp_path / "copy"))
    change_tokenizer(copy, lambda value: value["model"].update(dropout=0.1))
    refused(copy, "says dropout: 0.1, so a text has other tokens each time")


@pytest.mark.parametrize("name", ["ema.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_a_weights_file_that_is_not_the_one_read_is_refused(copy, name):
    """Its folder's model.safetensors was read without a word: another model than the one that was named."""
    (copy / name).write_bytes((copy / "model.safetensors").read_bytes())
    refused(copy / name, f"read from model.safetensors, not from the file that was named, {name}")
    for same in ("model.safetensors", "config.json", "vocab.txt"):
        check(copy / same)


def test_an_index_may_be_named_where_it_is_read(copy):
    """Who points at the index of the shards means these shards."""
    shards(copy, "safetensors", save_file)
    check(copy / "model.safetensors.index.json")
