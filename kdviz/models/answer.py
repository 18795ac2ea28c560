"""Asking a model: run it as far as is needed, hand out logits and what loss terms read of its layers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from kdviz.method.targets import Answers, Needs
from kdviz.method.terms import READINGS
from kdviz.models.families import as_classifier
from kdviz.models.trace import classify, trace

RunIn = Callable[[], AbstractContextManager[object]]
"""Makes the context in which a model's forward runs: autocast for half precision, or nothing."""


def answer(
    model: nn.Module,
    inputs: tuple[Tensor, Tensor, Tensor],
    needs: Needs,
    *,
    num_layers: int | None = None,
    record_all: bool = False,
    generator: torch.Generator | None = None,
    run_in: RunIn = nullcontext,
) -> Answers:
    """What `model` answers to `inputs` (token ids, attention mask, token types; each (batch, seq)), as far as
    `needs` says.

    It runs `num_layers` layers (default: all for logits, else to the highest one read) in the context
    `run_in` makes. `record_all`: the attention of every layer is recorded, so that all take one path and what
    comes out does not depend on what else is asked. `generator`: source of attention dropout in train mode.
    """
    if num_layers is None and not needs.logits:
        num_layers = needs.num_layers
    wanted: dict[str, set[int]] = {}
    for name, layer in needs.readings:
        wanted.setdefault(READINGS[name].recorded, set()).add(layer)
    if record_all:
        wanted["maps"] = set(
            range(as_classifier(model).config.num_hidden_layers if num_layers is None else num_layers)
        )
    with run_in():
        traced = trace(
            model,
            *inputs,
            num_layers=num_layers,
            record=wanted.pop("maps", ()),
            parts={part: layers for part, layers in wanted.items() if part != "cls"},
            generator=generator,
        )
        logits = classify(model, traced.last) if needs.logits else None
    result = Answers(logits=logits)
    for name, layer in sorted(needs.readings):
        reading = READINGS[name]
        if reading.recorded == "cls":
            recorded = traced.cls[layer]
        elif reading.recorded == "maps":
            recorded = traced.log_probs[layer]
        else:
            recorded = traced.parts[reading.recorded][layer]
        result.readings.setdefault(name, {})[layer] = reading.of(recorded, inputs[1])
    return result
