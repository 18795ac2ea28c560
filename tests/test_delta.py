"""Weights as differences from their origin: what a few bits keep, and what damage looks like."""

import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz.errors import RequestError
from kdviz.models.delta import STEPS_PER_SPREAD, load_delta, origin_name, save_delta

LAYERS = {0: 1, 1: 3}
NAME = "bert.encoder.layer.{}.attention.self.query.weight"


def weights(seed: int, layers: range, width: int = 64) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    state = {NAME.format(layer): draw.normal(size=(width, width)).astype(np.float32) for layer in layers}
    return state | {
        "bert.embeddings.word_embeddings.weight": draw.normal(size=(90, width)).astype(np.float32)
    }


@given(st.integers(0, 1000), st.floats(1e-6, 10))
@settings(max_examples=25, deadline=None)
def test_every_number_comes_back_within_half_a_step(tmp_path_factory, seed: int, size: float):
    """A step computed from one spread and applied to another would move every weight and change no shape."""
    path = tmp_path_factory.mktemp("delta") / "weights.xz"
    origin = weights(seed, range(4))
    state = {
        name: origin[origin_name(name, LAYERS)]
        + (size * np.random.default_rng(seed + 1).normal(size=array.shape)).astype(np.float32)
        for name, array in weights(seed + 2, range(2)).items()
    }
    save_delta(path, state, origin, LAYERS)
    restored = load_delta(path, origin)
    assert restored.keys() == state.keys()
    for name, exact in state.items():
        difference = exact - origin[origin_name(name, LAYERS)]
        step = max(
            np.sqrt((difference.astype(float) ** 2).mean()) / STEPS_PER_SPREAD, abs(difference).max() / 127
        )
        assert abs(restored[name] - exact).max() <= step / 2 * (1 + 1e-3) + 1e-5, name


def test_a_layer_is_taken_from_the_layer_it_started_from(tmp_path: Path):
    """The wrong origin layer would still give a working model, only with noise as large as the weights."""
    origin = weights(0, range(4))
    state = {NAME.format(own): origin[NAME.format(start)] for own, start in LAYERS.items()}
    save_delta(tmp_path / "weights.xz", state, origin, LAYERS)
    for name, restored in load_delta(tmp_path / "weights.xz", origin).items():
        assert (restored == state[name]).all()


def test_what_the_origin_lacks_or_has_in_another_shape_is_kept_whole(tmp_path: Path):
    """A classifier of two classes has no origin in an encoder; a head of another task has another shape."""
    draw = np.random.default_rng(3)
    state = {"classifier.weight": draw.normal(size=(2, 4096)).astype(np.float32)}
    for origin in ({}, {"classifier.weight": np.ones((3, 4096), np.float32)}):
        save_delta(tmp_path / "weights.xz", state, origin, {})
        restored = load_delta(tmp_path / "weights.xz", origin)["classifier.weight"]
        assert (restored == state["classifier.weight"]).all()


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "missing", "origin"])
def test_damage_is_one_line(tmp_path: Path, damage: str):
    """Damaged weights of the demo would be a traceback on the first page, or answers of other weights."""
    path, origin = tmp_path / "weights.xz", weights(0, range(4))
    save_delta(path, weights(1, range(2)), origin, LAYERS)
    content = path.read_bytes()
    {
        "cut": lambda: path.write_bytes(content[: len(content) // 2]),
        "other": lambda: path.write_bytes(lzma.compress(b"not safetensors at all")),
        "empty": lambda: path.write_bytes(b""),
        "missing": path.unlink,
        "origin": origin.clear,
    }[damage]()
    with pytest.raises(RequestError, match="weights: expected"):
        load_delta(path, origin)
