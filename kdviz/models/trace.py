"""Running a BERT encoder layer by layer, and recording its attention.

`trace` runs only the layers asked for and records log-probabilities only where asked. Recording happens
before dropout: the probabilities transformers returns in train mode are after it, and no distribution any
more. The recorder travels with the call, so traces in several threads do not meet.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

IMPLEMENTATION = "kdviz"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What one forward pass left behind.

    `cls`: [CLS] vector at the output of every layer that was run, each (batch, hidden). `log_probs`: by
    layer, attention log-probabilities (batch, heads, query, key) in float32, those of padded keys −inf.
    `last`: output of the last layer that was run (batch, seq, hidden).
    """

    cls: tuple[Tensor, ...]
    log_probs: dict[int, Tensor]
    last: Tensor


@dataclass(kw_only=True)
class _Recorder:
    wanted: frozenset[int]
    generator: torch.Generator | None
    log_probs: dict[int, Tensor] = field(default_factory=dict)


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
    """Make every hidden dropout of `model` draw from `generator` (attention's takes it from `trace`)."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout) and name == "dropout" and not hasattr(module, "query"):
                setattr(module, name, SeededDropout(child.p, generator))


def trace(
    model: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor,
    token_type_ids: Tensor,
    *,
    num_layers: int | None = None,
    record: Collection[int] = (),
    generator: torch.Generator | None = None,
) -> Trace:
    """Run the embeddings and the first `num_layers` layers (default: all) of a BERT classifier; inputs
    (batch, seq).

    `record`: layers (0-based) whose attention is wanted. `generator`: source of attention dropout in train
    mode.
    """
    bert = model.bert
    layers = bert.encoder.layer[:num_layers]
    if any(not 0 <= layer < len(layers) for layer in record):
        raise ValueError(
            f"record: expected layers from 0 to {len(layers) - 1}, the ones that are run, got "
            f"{sorted(record)}"
        )
    recorder = _Recorder(wanted=frozenset(record), generator=generator)
    mask = None if bool(attention_mask.all()) else attention_mask[:, None, None, :].bool()
    hidden = bert.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
    cls = []
    for layer in layers:
        hidden = layer(hidden, mask, kdviz_recorder=recorder)
        cls.append(hidden[:, 0])
    return Trace(cls=tuple(cls), log_probs=recorder.log_probs, last=hidden)


def classify(model: nn.Module, last: Tensor) -> Tensor:
    """Logits (batch, classes) from the last layer's output, through pooler, dropout and classifier."""
    return model.classifier(model.dropout(model.bert.pooler(last)))


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    kdviz_recorder: _Recorder | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """An attention function for transformers: (batch, heads, seq, size) in, (batch, seq, heads, size) out.

    Where the layer is wanted it works from the log-probabilities it records; else it is torch's fused
    attention.
    """
    generator = kdviz_recorder.generator if kdviz_recorder else None
    dropout = dropout if module.training else 0.0
    recorded = kdviz_recorder is not None and module.layer_idx in kdviz_recorder.wanted
    if not recorded and not (dropout and generator is not None):
        output = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
        )
        return output.transpose(1, 2).contiguous(), None
    scores = torch.matmul(query, key.transpose(2, 3)).float() * (
        query.size(-1) ** -0.5 if scaling is None else scaling
    )
    if attention_mask is not None:
        scores = (
            scores.masked_fill(~attention_mask, -torch.inf)
            if attention_mask.dtype == torch.bool
            else scores + attention_mask
        )
    if recorded:
        log_probs = functional.log_softmax(scores, dim=-1)
        kdviz_recorder.log_probs[module.layer_idx] = log_probs
        probs = log_probs.exp()
    else:
        probs = functional.softmax(scores, dim=-1)
    if dropout:
        probs = _dropout(probs, dropout, generator)
    return torch.matmul(probs.to(value.dtype), value).transpose(1, 2).contiguous(), None


def _dropout(hidden: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout by 16 random bits an element, so p counts in steps of 1/65536 (0.1 is 0.100006).

    On a CPU a fifth of the time of a Bernoulli draw, which is a tenth of a training step in bfloat16.
    """
    dropped = round(p * 65536)
    bits = torch.empty((hidden.numel() + 3) // 4, dtype=torch.int64, device=hidden.device).random_(
        -(2**63), None, generator=generator
    )
    keep = bits.view(torch.int16)[: hidden.numel()].view(hidden.shape) >= dropped - 32768
    return hidden * keep.to(hidden.dtype).mul_(65536 / (65536 - dropped))


AttentionInterface.register(IMPLEMENTATION, attention_forward)
# Without a mask function of its own, transformers hands an unknown implementation no mask: padding would be
# attended.
AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)
