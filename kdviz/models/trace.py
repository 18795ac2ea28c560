"""Running an encoder layer by layer, and recording its attention.

`trace` runs only the layers asked for and records log-probabilities only where asked. Recording happens
before dropout: the probabilities transformers returns in train mode are after it, and no distribution any
more. The recorder travels with the call, so traces in several threads do not meet.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdviz.compat import register_attention
from kdviz.models.families import family_of


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What one forward pass left behind.

    `cls`: [CLS] vector at the output of every layer that was run, each (batch, hidden). `log_probs`: by
    layer, attention log-probabilities (batch, heads, query, key) in float32, those of padded keys −inf.
    `parts`: the queries, keys or values asked for, by name and layer, (batch, heads, seq, size). `last`:
    output of the last layer that was run (batch, seq, hidden).
    """

    cls: tuple[Tensor, ...]
    log_probs: dict[int, Tensor]
    parts: dict[str, dict[int, Tensor]]
    last: Tensor


@dataclass(kw_only=True)
class Recorder:
    """Travels with one trace. `layer`: the one being run; `generator`: source of attention dropout."""

    wanted: frozenset[int]
    generator: torch.Generator | None
    layer: int = 0
    log_probs: dict[int, Tensor] = field(default_factory=dict)
    wanted_parts: Mapping[str, Collection[int]] = field(default_factory=dict)
    parts: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    def keep(self, **found: Tensor) -> None:
        """Keep those of the layer's queries, keys and values that are wanted."""
        for name, layers in self.wanted_parts.items():
            if self.layer in layers:
                self.parts.setdefault(name, {})[self.layer] = found[name]


class SeededDropout(nn.Module):
    """Dropout that draws from its run's own generator, so that two runs in two threads do not disturb each
    other.
    """

    def __init__(self, p: float, generator: torch.Generator):
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, hidden: Tensor) -> Tensor:
        return _dropout(hidden, self.p, self.generator) if self.training and self.p else hidden


def seed_dropout(model: nn.Module, generator: torch.Generator) -> None:
    """Make every dropout of `model` draw from `generator`; of attention's only the probability is read, and
    `trace` is given its generator.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, SeededDropout(child.p, generator).train(child.training))


def trace(
    model: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor,
    token_type_ids: Tensor,
    *,
    num_layers: int | None = None,
    record: Collection[int] = (),
    parts: Mapping[str, Collection[int]] | None = None,
    generator: torch.Generator | None = None,
) -> Trace:
    """Run the embeddings and the first `num_layers` layers (default: all) of a classifier; inputs
    (batch, seq).

    `record`: layers (0-based) whose attention is wanted; `parts`: those whose "queries", "keys" or "values"
    are. `generator`: source of attention dropout in train mode. ValueError where a layer of `record` is not
    run.
    """
    family = family_of(model)
    layers = family.layer_list(model)[:num_layers]
    if any(not 0 <= layer < len(layers) for layer in record):
        raise ValueError(
            f"record: expected layers from 0 to {len(layers) - 1}, the ones that are run, got "
            f"{sorted(record)}"
        )
    recorder = Recorder(wanted=frozenset(record), generator=generator, wanted_parts=parts or {})
    mask = None if bool(attention_mask.all()) else attention_mask[:, None, None, :].bool()
    hidden = family.embed(model, input_ids, token_type_ids)
    shared = family.shared(model, hidden)
    cls = []
    for recorder.layer, layer in enumerate(layers):
        hidden = family.run_layer(layer, hidden, mask, recorder, **shared)
        cls.append(hidden[:, 0])
    return Trace(cls=tuple(cls), log_probs=recorder.log_probs, parts=recorder.parts, last=hidden)


def classify(model: nn.Module, last: Tensor) -> Tensor:
    """Logits (batch, classes) from the last layer's output, through the family's head."""
    return family_of(model).classify(model, last)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    scaling: float | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    recorder: Recorder | None = None,
) -> Tensor:
    """Attention of one layer: (batch, heads, seq, size) in, (batch, seq, heads, size) out.

    `mask`: boolean (True where a key is real) or added to the scores. `bias`: added to the scores, broadcast
    to (batch, heads, query, key). Where the layer is wanted it works from the log-probabilities it records;
    else, without a bias or a dropout of our own, it is torch's fused attention.
    """
    generator = recorder.generator if recorder else None
    if recorder is not None:
        recorder.keep(queries=query, keys=key, values=value)
    keeper = recorder if recorder is not None and recorder.layer in recorder.wanted else None
    if keeper is None and bias is None and not (dropout and generator is not None):
        output = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
        )
        return output.transpose(1, 2).contiguous()
    scores = torch.matmul(query, key.transpose(2, 3)).float() * (
        query.size(-1) ** -0.5 if scaling is None else scaling
    )
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    if keeper is not None:
        log_probs = functional.log_softmax(scores, dim=-1)
        keeper.log_probs[keeper.layer] = log_probs
        probs = log_probs.exp()
    else:
        probs = functional.softmax(scores, dim=-1)
    if dropout:
        probs = _dropout(probs, dropout, generator)
    return torch.matmul(probs.to(value.dtype), value).transpose(1, 2).contiguous()


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    kdviz_recorder: Recorder | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """`attend` as transformers calls an attention function."""
    dropout = dropout if module.training else 0.0
    return attend(
        query, key, value, attention_mask, scaling=scaling, dropout=dropout, recorder=kdviz_recorder
    ), None


def _dropout(hidden: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout by 16 random bits an element, so p counts in steps of 1/65536 (0.1 is 0.100006), of
    which one is left where p is nearly 1.

    On a CPU a fifth of the time of a Bernoulli draw, which is a tenth of a training step in bfloat16.
    """
    dropped = min(round(p * 65536), 65535)
    bits = torch.empty((hidden.numel() + 3) // 4, dtype=torch.int64, device=hidden.device).random_(
        -(2**63), None, generator=generator
    )
    keep = bits.view(torch.int16)[: hidden.numel()].view(hidden.shape) >= dropped - 32768
    return hidden * keep.to(hidden.dtype).mul_(65536 / (65536 - dropped))


register_attention(attention_forward)
