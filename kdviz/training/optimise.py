"""One optimiser for teacher and student: AdamW, linear warm-up and decay, clipped gradients."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from kdviz.compat import divide_gradients
from kdviz.training.used_rows import UsedRows


def make_optimizer(model: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (fused: three times faster here than the plain loops); biases and layer norms do not decay, as in
    BERT.
    """
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        owner, _, kind = name.rpartition(".")
        (others if kind == "bias" or owner in norms else decaying).append(parameter)
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, fused=True)
    for module in model.modules():
        if isinstance(module, UsedRows):
            optimizer.register_step_post_hook(lambda stepped, *_, rows=module: rows.stepped(stepped))
    return optimizer


def learning_rate_at(step: int, *, total_steps: int, peak: float, warmup_share: float) -> float:
    """Learning rate of step `step` (0-based): rises linearly from 0 over the warm-up, then falls linearly to
    0.

    The numbers of transformers' get_linear_schedule_with_warmup, so that runs can be compared with its
    Trainer's.
    """
    warmup_steps = int(total_steps * warmup_share)
    if step < warmup_steps:
        return peak * step / warmup_steps
    return peak * max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))


def optimizer_step(
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    *,
    learning_rate: float,
    max_grad_norm: float,
) -> Tensor:
    """Clip, step, clear; returns the gradient norm before clipping (a tensor, so that nothing waits for
    it).
    """
    norm = nn.utils.get_total_norm(
        [parameter.grad for parameter in parameters if parameter.grad is not None], foreach=True
    )
    divide_gradients(optimizer, ((norm + 1e-6) / max_grad_norm).clamp_min(1.0))
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
