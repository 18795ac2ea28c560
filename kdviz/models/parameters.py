"""Which tensor of a weights file becomes which parameter of a model, and what must not be left over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kdviz.models.families import CLASSIFIER, POOLER, Family
from kdviz.models.refusals import Unusable
from kdviz.models.weights_files import FLOATS, Weights

# Counters that old checkpoints stored beside their tables: no parameters.
_COUNTERS = (".position_ids", ".token_type_ids")
# In the names of what an adapter changes or copies and has not put back.
_UNMERGED = ("lora_", ".base_layer.", ".modules_to_save.")


@dataclass(frozen=True, kw_only=True)
class Match:
    """`sources`: parameter to tensor (clean name). `fresh`: parameters of pooler and classifier that the
    weights lack or have in another shape.
    """

    sources: Mapping[str, str]
    fresh: frozenset[str]


def encoder_prefix(family: Family, config: Mapping[str, Any], weights: Weights) -> str:
    """What stands before the encoder's names in the weights. Unusable where there is no encoder, or two."""
    expected = family.expected_shapes(config)
    first = next(iter(expected))
    prefixes = [name.removesuffix(first) for name in weights.shapes if f".{name}".endswith(f".{first}")]
    if not prefixes:
        some = ", ".join(sorted(weights.shapes)[:2])[:120]
        raise Unusable(
            f"expected {first} of shape {list(expected[first])} in the weights, got none (they begin with "
            f"{some or 'nothing'}); choose a complete checkpoint of {family.title}"
        )
    if len(prefixes) > 1:
        raise Unusable(
            f"the weights hold {len(prefixes)} encoders, under {prefixes[0]!r} and {prefixes[1]!r}; save the "
            "one that is meant alone"
        )
    return prefixes[0]


def check_encoder(family: Family, config: Mapping[str, Any], weights: Weights, prefix: str) -> None:
    """Unusable where these are not the weights that config.json describes, as far as that can be told without
    the model: transformers would draw what is missing.
    """
    if any(mark in name for name in weights.shapes for mark in _UNMERGED):
        raise Unusable("the weights hold an adapter (LoRA) that is not merged; merge it and save the model")
    for name, shape in family.expected_shapes(config).items():
        found = weights.shapes.get(prefix + name)
        if found is None or list(found) != list(shape):
            raise Unusable(
                f"expected {name} of shape {list(shape)} as config.json says, got "
                f"{list(found) if found else 'none'} in the weights; choose a complete checkpoint"
            )
    begin = f"{prefix}{family.layers}."
    layers = {name[len(begin) :].partition(".")[0] for name in weights.shapes if name.startswith(begin)}
    deepest = max((int(layer) + 1 for layer in layers if layer.isdigit()), default=0)
    if deepest > config[family.num_layers_name]:
        raise Unusable(
            f"config.json says {config[family.num_layers_name]} layers, and the weights have {deepest}; make "
            "the two agree"
        )
    parts = {name.partition(".")[0] for name in family.expected_shapes(config)} | {"pooler"}
    check_numbers(
        weights,
        [
            name
            for name in weights.shapes
            if name.startswith(prefix)
            and name[len(prefix) :].partition(".")[0] in parts
            and not name.endswith(_COUNTERS)
        ],
    )


def check_numbers(weights: Weights, names: Collection[str]) -> None:
    """Unusable where one of the tensors `names` does not hold finite floating-point numbers."""
    quantised = [name for name in names if weights.dtypes[name] not in FLOATS]
    if quantised:
        raise Unusable(
            f"{quantised[0]} holds {weights.dtypes[quantised[0]]}, not floating-point numbers: the weights "
            "are quantised; choose the checkpoint in full precision"
        )
    broken = sorted(weights.not_finite.intersection(names))
    if broken:
        raise Unusable(
            f"{broken[0]} holds numbers that are not finite (NaN or infinity): its training diverged or its "
            "file is damaged; choose another checkpoint"
        )


def match_parameters(
    family: Family, shapes: Mapping[str, tuple[int, ...]], weights: Weights, prefix: str
) -> Match:
    """Find the tensor of every parameter of a classifier (`shapes` by name). Heads of other models are left
    out by name. Unusable where a parameter of the encoder is missing or of another shape, where one that is
    used holds no finite numbers, or where the encoder's weights have a part that this model does not compute
    with.
    """
    base, outer = f"{family.base}.", prefix.removesuffix(f"{family.base}.")
    sources, fresh = {}, set()
    for name, shape in shapes.items():
        source = prefix + name[len(base) :] if name.startswith(base) else outer + name
        if tuple(weights.shapes.get(source, ())) == tuple(shape) and source in weights.shapes:
            sources[name] = source
        elif family.part_of(name) in (POOLER, CLASSIFIER):
            fresh.add(name)
        else:
            found = weights.shapes.get(source)
            raise Unusable(
                f"expected the encoder's parameter {name} of shape {list(shape)}, got "
                f"{list(found) if found is not None else 'none'} in the weights; choose a complete checkpoint"
            )
    parts = {name[len(base) :].partition(".")[0] for name in shapes if name.startswith(base)}
    used = set(sources.values())
    for name in weights.shapes:
        inside = name[len(prefix) :] if name.startswith(prefix) else ""
        known = name in used or inside.endswith(_COUNTERS)
        if inside.partition(".")[0] in parts and not known and not inside.startswith("pooler."):
            raise Unusable(
                f"the weights hold {name}, which {family.title} as transformers computes it does not have: "
                "they are of another model"
            )
    check_numbers(weights, used)
    return Match(sources=sources, fresh=frozenset(fresh))
