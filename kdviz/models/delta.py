"""Weights stored as differences from the checkpoint they started from, in a few bits each.

Fine-tuning moves a model little, so the difference needs far fewer bits than the weights: it is rounded to
whole steps of a fraction of its own spread and compressed. The stored demo keeps its models so, on the
weights of an installed package.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kdviz.errors import RequestError
from kdviz.files import write_bytes

STEPS_PER_SPREAD = 1.25
SMALL = 4096  # numbers; biases, norms and classifiers weigh little and matter much
_LAYER = re.compile(r"(?<=\blayer\.)\d+(?=\.)")
_MAX_BYTES = 256 << 20


def origin_name(name: str, layers: Mapping[int, int]) -> str:
    """The parameter of the origin that `name` started from: `layers` maps own layers to the origin's."""
    return _LAYER.sub(lambda found: str(layers[int(found.group())]), name)


def save_delta(
    path: Path, state: Mapping[str, np.ndarray], origin: Mapping[str, np.ndarray], layers: Mapping[int, int]
) -> int:
    """Write `state` as differences from `origin`; returns the file's size in bytes.

    `layers`: own encoder layer → the origin's layer it started from. Rounding: at most half a step, two
    fifths of the root mean square difference of each tensor (larger where 127 steps would not reach its
    largest difference). Kept exactly: small tensors, and what the origin lacks or has in another shape.
    """
    from safetensors.numpy import save

    stored, steps = {}, {}
    for name, tensor in state.items():
        start = origin.get(origin_name(name, layers))
        if start is None or start.shape != tensor.shape or tensor.size < SMALL:
            stored[name] = tensor.astype(np.float32)
            continue
        difference = tensor.astype(np.float64) - start
        spread = float(np.sqrt(np.mean(difference**2)))
        steps[name] = max(spread / STEPS_PER_SPREAD, float(np.abs(difference).max()) / 127)
        stored[name] = np.round(difference / (steps[name] or 1.0)).astype(np.int8)
    header = {"steps": json.dumps(steps), "layers": json.dumps({str(own): at for own, at in layers.items()})}
    content = lzma.compress(save(stored, header), preset=9)
    write_bytes(path, content)
    return len(content)


def load_delta(path: Path, origin: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights in `path`, float32 by name. RequestError where the file is damaged or the origin
    another.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = lzma.LZMADecompressor().decompress(path.read_bytes(), max_length=_MAX_BYTES)
        stored = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        steps = json.loads(header["steps"])
        layers = {int(own): at for own, at in json.loads(header["layers"]).items()}
        return {
            name: origin[origin_name(name, layers)] + np.float32(steps[name]) * array.astype(np.float32)
            if name in steps
            else array
            for name, array in stored.items()
        }
    except (OSError, lzma.LZMAError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"weights: expected differences from the checkpoint they started from in {path.name}, got "
            f"{type(error).__name__}; get the file again",
            field="run_id",
        ) from None
