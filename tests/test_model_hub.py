"""Models of the hub: laid out as their repositories are, fetched only with leave, and found in the cache."""

import errno
import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from checkpoint_folders import shards
from hub_server import hub_server
from safetensors.torch import load_file, save, save_file

from kdviz.errors import RequestError
from kdviz.models.build import load_classifier
from kdviz.models.checkpoint import resolve
from kdviz.models.hub import Downloads, NotHere
from kdviz.models.hub_child import _reason
from kdviz.models.names import place_of
from kdviz.models.registry import TEACHERS

BERT_BASE = "google-bert/bert-base-uncased"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Every test starts with an empty cache, and finds no endpoint unless it sets one."""
    for name in (
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hf" / "hub"


@pytest.fixture(scope="module")
def files(tiny_checkpoint) -> dict[str, bytes]:
    """A checkpoint's files by name."""
    return {path.name: path.read_bytes() for path in tiny_checkpoint.iterdir()}


def pickled(tensors: dict, **options: object) -> bytes:
    import io

    content = io.BytesIO()
    torch.save(tensors, content, **options)
    return content.getvalue()


def as_published(name: str, files: dict[str, bytes], tiny_checkpoint: Path) -> dict[str, bytes]:
    """The files of a registry teacher's repository on its main branch: which kinds, under which names.

    Google's small BERTs and MiniLM-L12 were published before safetensors: a pickle of the format of before
    2020, old LayerNorm names, the pre-training heads, a vocabulary and no tokenizer.json. BERT-base has
    everything, once in each framework's format.
    """
    tensors = load_file(tiny_checkpoint / "model.safetensors")
    names = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
    old = {}
    for key, value in tensors.items():
        for new_name, old_name in names:
            key = key.replace(new_name, old_name)
        old[f"bert.{key}"] = value
    old |= {"cls.predictions.bias": torch.zeros(30522), "cls.seq_relationship.weight": torch.zeros(2, 32)}
    small = {"config.json": files["config.json"], "vocab.txt": files["vocab.txt"], "README.md": b"# about"}
    if name == "bert-base":
        return {
            **small,
            "tokenizer.json": files["tokenizer.json"],
            "tokenizer_config.json": files["tokenizer_config.json"],
            "model.safetensors": save(old, {"format": "pt"}),
            "pytorch_model.bin": b"x" * 5_000_000,
            "tf_model.h5": b"x" * 5_000_000,
            "coreml/fill-mask/model.mlmodel": b"x" * 1000,
        }
    return {
        **small,
        "pytorch_model.bin": pickled(old, _use_new_zipfile_serialization=False),
        "flax_model.msgpack": b"x" * 5_000_000,
    }


@pytest.mark.parametrize("name", [name for name, entry in TEACHERS.items() if entry.location])
def test_every_hub_teacher_of_the_registry_loads_as_it_is_published(
    monkeypatch, own_cache, files, tiny_checkpoint, name
):
    """Four of them have no safetensors: a registry that offers what does not load is found out in class."""
    repository = as_published(name, files, tiny_checkpoint)
    told = []
    with hub_server({}, models={TEACHERS[name].location: repository}) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        found = resolve(name, downloads=Downloads(progress=lambda *each: told.append(each)))
        asked = [request for request in requests if request.startswith("GET") and "/resolve/" in request]
        assert not any(end in request for request in asked for end in ("h5", "msgpack", "mlmodel", "README"))
        assert ("safetensors" in "".join(asked)) == (name == "bert-base")
    fetched = {Path(request).name for request in asked} - {"config.json"}
    total = sum(len(repository[file]) for file in fetched)
    assert told[0] == (0, total) and told[-1] == (total, total)
    own = load_classifier(found.folder, 2, torch.Generator().manual_seed(0)).state_dict()
    original = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0)).state_dict()
    assert all(torch.equal(own[key], value) for key, value in original.items())
    # The server is gone: from the cache alone, and without leave.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve(name).folder == found.folder
    assert found.folder.is_relative_to(own_cache)


def test_without_leave_nothing_is_asked_of_anybody(monkeypatch, own_cache, files):
    """A page's preview resolves what somebody types: that alone must not start a download."""
    with hub_server({}, models={"somebody/model": files}) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        for name in ("somebody/model", "bert-base", "somebody/model@main"):
            with pytest.raises(NotHere, match="not in the local cache of this machine") as caught:
                resolve(name)
            assert caught.value.field == "teacher"
        assert requests == [] and not own_cache.exists()


def test_config_and_sizes_come_before_weights(monkeypatch, own_cache, files):
    """Half a gigabyte of a model that cannot be used, or of one that is too large, is not fetched first."""
    gpt = {**files, "config.json": json.dumps({"model_type": "gpt2"}).encode()}
    models = {
        "a/gpt": gpt,
        "a/large": files,
        "a/none": {"README.md": b"#"},
        "a/tf": {**files, "tf_model.h5": b""},
    }
    del models["a/tf"]["model.safetensors"]
    with hub_server({}, models=models) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        for name, match in (
            ("a/gpt", "known encoder family .*'gpt2'"),
            ("a/large", "MB, and at most 1.0 MB may be fetched .KDVIZ_MAX_DOWNLOAD_BYTES"),
            ("a/none", "no config.json"),
            ("a/tf", "neither model.safetensors nor pytorch_model.bin .only tf_model.h5"),
            ("a/missing", "no such model, or it is private"),
            ("a/large@v9", "fetched"),
        ):
            with pytest.raises(RequestError, match=match) as caught:
                resolve(name, downloads=Downloads(most_bytes=1_000_000))
            assert "\n" not in str(caught.value)
        assert not [request for request in requests if "safetensors" in request or "bin" in request]


@pytest.mark.parametrize("weights", ["whole", "shards"])
def test_a_hub_that_lists_no_sizes_is_asked_for_them_one_by_one(
    monkeypatch, own_cache, tmp_path, tiny_checkpoint, weights
):
    """Mirrors and proxies list files alone. Their sizes are at their addresses, and the limit holds all the
    same.
    """
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "model"))
    if weights == "shards":
        shards(folder, "safetensors", save_file)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with hub_server({}, models={"a/model": files}, lists_sizes=False) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match="MB, and at most 100.0 kB may be fetched"):
            resolve("a/model", downloads=Downloads(most_bytes=100_000))
        assert not [each for each in requests if each.startswith("GET") and each.endswith(".safetensors")]
        assert resolve("a/model", downloads=Downloads()).num_layers == 4


def test_a_cache_that_tells_no_size_is_no_full_disk(monkeypatch, own_cache, files):
    """Some network and container file systems say 0 of 0 bytes are free: nothing could ever be fetched."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 0))
    with hub_server({}, models={"a/model": files}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert resolve("a/model", downloads=Downloads()).num_layers == 4


def test_a_hub_that_sends_more_than_it_says_is_left(monkeypatch, own_cache, files):
    """Its sizes are what the limit was checked against."""
    models = {"a/liar": files}
    with hub_server({}, models=models, said_sizes={"model.safetensors": 1000}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match="sends more than it said"):
            resolve("a/liar", downloads=Downloads(most_bytes=10_000_000))


API = "/api/models"


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ({API: (429, b"", {"Retry_After": "300"})}, "no more requests .*429.*; try again later; else use"),
        ({API: (503, b"", {})}, "the hub is in trouble .it answered 503.; try again later; else use"),
        ({API: (401, b"", {})}, "no such model, or it is private .*; check the id; else use"),
        ({"/resolve/": (403, b"", {"X_Error_Code": "GatedRepo"})}, "it is gated: agree to its terms"),
        ({API: (404, b"", {"X_Error_Code": "RevisionNotFound"})}, "no such revision or file; check the id"),
        ({API: (200, b"<html>Log in", {"Content_Type": "text/html"})}, "what answered is no hub .a login pa"),
        (
            {"safetensors": (200, b"cut", {"ETag": "x", "X_Repo_Commit": "a" * 40, "X_Linked_Size": "99"})},
            "it sent less than it said",
        ),
        ({API: (410, b"", {})}, "HfHubHTTPError: .*410.*; check the id; else use minilm-l6"),
    ],
    ids=("429", "503", "private", "gated", "revision", "login page", "cut short", "410"),
)
def test_what_a_hub_answers_is_told_with_what_helps(monkeypatch, own_cache, files, instead, said):
    """ "Check the id" sends people to look for a slip where waiting, or agreeing to terms, is what helps."""
    with hub_server({}, models={"a/model": files}, instead=instead) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match=said) as caught:
            resolve("a/model", downloads=Downloads())
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_called_so(monkeypatch, own_cache, files):
    """ "Check the id" for a full disk, or a home that is read-only."""
    own_cache.parent.mkdir(parents=True)
    own_cache.write_text("in its place")
    with hub_server({}, models={"a/model": files}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match="cache cannot be written .*set HF_HOME") as caught:
            resolve("a/model", downloads=Downloads())
    assert "\n" not in str(caught.value) and "check the id" not in str(caught.value)
    for error in (OSError(errno.ENOSPC, "No space left on device"), PermissionError(13, "denied", "/x")):
        assert _reason(error).startswith(f"the hub's cache cannot be written ({error.strerror}")


def test_a_download_that_broke_off_before_the_last_file_is_gone_on_with(monkeypatch, own_cache, files):
    """With weights and vocabulary in it the cache looked whole, and a tokenizer without its settings was
    read, in every later run.
    """
    listed = {name: files[name] for name in sorted(files, key=lambda name: name == "tokenizer_config.json")}
    broken = {"tokenizer_config.json": (403, b"", {"X_Error_Code": "GatedRepo"})}
    with hub_server({}, models={"a/model": listed}, instead=broken) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match="it is gated"):
            resolve("a/model", downloads=Downloads())
    with hub_server({}, models={"a/model": listed}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        folder = resolve("a/model", downloads=Downloads()).folder
    assert {path.name for path in folder.iterdir()} >= set(listed) - {"README.md"}


def test_why_the_hub_cannot_be_had_is_said(monkeypatch, own_cache):
    """A proxy that wants a password, and an address without its http, are no missing network."""
    for endpoint, said in (("http://127.0.0.1:9", "127.0.0.1:9 cannot be reached"), ("hub.org", "unknown")):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match=f"not in the local cache .*{said}"):
            resolve("a/model", downloads=Downloads())


def test_a_damaged_file_in_the_cache_says_how_to_get_it_again(monkeypatch, own_cache, files):
    """The cache hands out the same file each time, whatever is asked of the hub."""
    with hub_server({}, models={"a/model": files}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        folder = resolve("a/model", downloads=Downloads()).folder
        path = (folder / "model.safetensors").resolve()
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(RequestError, match="is damaged .*the hub's cache keeps it: remove") as caught:
            resolve("a/model", downloads=Downloads())
        shutil.rmtree(str(caught.value).partition("remove ")[2].partition(" first")[0])
        assert resolve("a/model", downloads=Downloads()).num_layers == 4


def test_a_download_can_be_stopped_and_is_continued(monkeypatch, own_cache, files):
    """Whoever stops a download of minutes wants it to end now, and not to begin again the next time."""
    told, begin = [], time.monotonic()

    class Enough(Exception):
        """Stop."""

    def stop() -> None:
        if told and told[-1][0] > 500_000:
            raise Enough

    with hub_server({}, models={"a/slow": files}, seconds_a_piece=0.02) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(Enough):
            resolve("a/slow", downloads=Downloads(progress=lambda *each: told.append(each), check_stop=stop))
        assert time.monotonic() - begin < 30 and told[-1][0] < told[-1][1]
    with hub_server({}, models={"a/slow": files}) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert resolve("a/slow", downloads=Downloads()).num_layers == 4


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_who_forbids_the_network_is_named_and_obeyed(monkeypatch, files, variable):
    """Either variable is how clusters say it; both are the ones in transformers' documentation."""
    monkeypatch.setenv(variable, "1")
    with hub_server({}, models={"a/model": files}) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match=f"{variable} forbids the network"):
            resolve("a/model", downloads=Downloads())
        assert requests == []


def put_in_cache(cache: Path, name: str, checkpoint: Path, *, revision: str | None = "main") -> Path:
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = Path(shutil.copytree(checkpoint, repository / "snapshots" / ("c" * 40)))
    if revision:
        (repository / "refs").mkdir()
        (repository / "refs" / revision).write_text("c" * 40)
    return snapshot


@pytest.mark.parametrize(
    ("cached", "asked"),
    [
        (BERT_BASE, "bert-base"),
        ("bert-base-uncased", "bert-base"),
        ("bert-base-uncased", BERT_BASE),
        ("bert-base-uncased", "bert-base-uncased"),
        (BERT_BASE, "bert-base-uncased"),
        (BERT_BASE, f"https://huggingface.co/{BERT_BASE}"),
        (BERT_BASE, f"huggingface.co/{BERT_BASE}/tree/main"),
        (BERT_BASE, f" '{BERT_BASE}@main' "),
        ("distilbert-base-cased", "distilbert/distilbert-base-cased"),
        ("roberta-base", "FacebookAI/roberta-base"),
    ],
)
def test_the_cache_is_found_by_every_name_a_model_has_had(own_cache, tiny_checkpoint, cached, asked):
    """Caches of years ago hold models without an owner in their name; people type what they remember."""
    snapshot = put_in_cache(own_cache, cached, tiny_checkpoint)
    assert resolve(asked).folder == snapshot


def test_a_revision_is_found_by_its_name_or_its_commit(own_cache, tiny_checkpoint):
    """A pinned revision that fell back to main would be another model."""
    snapshot = put_in_cache(own_cache, "a/model", tiny_checkpoint, revision="v2")
    assert resolve("a/model@v2").folder == snapshot == resolve(f"a/model@{'c' * 40}").folder
    assert resolve("https://huggingface.co/a/model/blob/v2/config.json").name == "a/model@v2"
    with pytest.raises(NotHere):
        resolve("a/model@v1")
    with pytest.raises(RequestError, match="not from the file that was named, ema.safetensors"):
        resolve("https://huggingface.co/a/model/blob/v2/ema.safetensors")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://huggingface.co/a/model/tree/refs%2Fpr%2F2", "a/model@refs/pr/2"),
        ("https://huggingface.co/a/model/tree/feature%2Fx", "a/model@feature/x"),
        ("https://huggingface.co/a/model.git", "a/model"),
        ("https://huggingface.co/api/models/a/model", "a/model"),
        ("https://huggingface.co/a/model/tree/main/", "a/model"),
        ("https://huggingface.co/roberta-base/tree/main", "FacebookAI/roberta-base"),
        ("hf.co/a/model?library=transformers#usage", "a/model"),
        ("hf://a/model", "a/model"),
        ("hf://a/model@v1/model.safetensors", "a/model@v1"),
        ("a/model/", "a/model"),
        ("models--a--model", "a/model"),
        ("models--bert-base-uncased", "google-bert/bert-base-uncased"),
        ("https://mirror.org/hf/a/model/tree/main", "a/model"),
        ("https://MIRROR.org/hf/roberta-base", "FacebookAI/roberta-base"),
    ],
)
def test_an_address_means_the_model_of_its_page(monkeypatch, address, name):
    """A branch cut at its slash, or a page's own words taken for a name, are another model."""
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.org/hf/")
    assert place_of(address).name == name


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (("model.safetensors",), "its weights are missing"),
        (("tokenizer.json", "vocab.txt"), "its tokenizer is missing"),
    ],
)
def test_what_a_cache_lacks_of_a_model_is_said(own_cache, tiny_checkpoint, lost, said):
    """ "Not in the local cache" to whoever sees it there: transformers fetches a tokenizer by itself, too."""
    snapshot = put_in_cache(own_cache, "a/model", tiny_checkpoint)
    for name in lost:
        (snapshot / name).unlink()
    with pytest.raises(NotHere, match=rf"is not in the local cache .* as a whole \({said}\); download it"):
        resolve("a/model")


def test_a_model_in_shards_is_whole_with_all_of_them(own_cache, tiny_checkpoint, tmp_path):
    """A download that broke off would count as the model, and never be continued."""
    in_shards = tmp_path / "shards"
    shutil.copytree(tiny_checkpoint, in_shards)
    shards(in_shards, "safetensors", save_file)
    snapshot = put_in_cache(own_cache, "a/model", in_shards)
    assert resolve("a/model").folder == snapshot
    next(snapshot.glob("model-*.safetensors")).unlink()
    with pytest.raises(NotHere, match="its weights are missing"):
        resolve("a/model")


def test_a_cache_with_one_snapshot_and_no_reference_is_used(own_cache, tiny_checkpoint):
    """A cache that was copied without its small files still holds the model."""
    snapshot = put_in_cache(own_cache, "a/model", tiny_checkpoint, revision=None)
    assert resolve("a/model").folder == snapshot


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRANSFORMERS_CACHE", "~/old"),
        ("PYTORCH_TRANSFORMERS_CACHE", "$HOME/old"),
        ("HF_HUB_CACHE", "$HOME/old"),
        ("HF_HUB_CACHE", "~/old"),
    ],
)
def test_the_caches_of_older_versions_are_looked_into(
    monkeypatch, tmp_path, tiny_checkpoint, variable, value
):
    """transformers 4 kept models where its own variable said, and there they still are."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    snapshot = put_in_cache(tmp_path / "old", "bert-base-uncased", tiny_checkpoint)
    assert resolve("bert-base").folder == snapshot


def test_paths_as_they_are_pasted(monkeypatch, tmp_path, tiny_checkpoint):
    """Blanks, quotation marks, a file instead of its folder, a tilde that no shell expanded."""
    home = tmp_path / "home"
    folder = Path(shutil.copytree(tiny_checkpoint, home / "my models" / "bert"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    for text in (
        f"  {folder}\t",
        f'"{folder}"',
        f"'{folder}/'",
        f"\u201c{folder}\u201d",
        f"{folder}/config.json",
        f"{folder}/model.safetensors",
        "~/my models/bert",
        "my models/bert",
        str(folder).replace(" ", "\\ "),
        folder.as_uri(),
    ):
        assert resolve(text).folder == folder, text
        assert resolve(text).name == str(folder), "a run is resumed from another working directory"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("C:\\models\\bert", "path of Windows"),
        ("~/nowhere/bert", "no 'nowhere' in it"),
        ("minilm", "did you mean minilm-l6"),
        ("https://huggingface.co/datasets/nyu-mll/glue", "that of datasets"),
        ("https://huggingface.co/a/model/tree/main/checkpoint-500", "that of 'checkpoint-500' in a/model"),
        ("https://huggingface.co/a/model/blob/main/step_2/model.safetensors", "step_2/model.safetensors' in"),
        ("https://huggingface.co/a/model/tree/feature/x", "written a/model@feature/x"),
        ("https://huggingface.co/api/datasets/nyu-mll/glue", "that of datasets"),
        ("https://hf-mirror.com/a/model", "address of hf-mirror.com, which is not the hub: give owner/name"),
        ("a/b/c", "a local folder or a hub id"),
        ("", "expected one of minilm-l6"),
        ("../..//../..", "readable config.json"),
        ("a--b/c", "expected one of"),
        ("x\x00y", "expected one of"),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_a_hint(monkeypatch, tmp_path, text, match):
    """A list of seven registry names does not help whoever mistyped the eighth letter of a path."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=match) as caught:
        resolve(text)
    assert "\n" not in str(caught.value)
