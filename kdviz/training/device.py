"""Where a model runs and in which numbers: device and arithmetic, each with its reason."""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import nn

from kdviz.errors import RequestError

if TYPE_CHECKING:
    from kdviz.models.answer import RunIn


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """(device, reason) for cpu, cuda or auto. RequestError where there is no such device."""
    if wanted != "auto":
        if wanted == "cuda" and not torch.cuda.is_available():
            raise RequestError(
                "device_choice: expected a CUDA device, but torch sees none; choose cpu or auto",
                field="device_choice",
            )
        return torch.device(wanted), "as asked"
    return (
        (torch.device("cuda"), "a GPU is there")
        if torch.cuda.is_available()
        else (torch.device("cpu"), "no GPU is there")
    )


def choose_dtype(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """(arithmetic of the model, reason). On a CPU half precision is used only where a short trial is clearly
    faster.
    """
    if wanted != "auto":
        return getattr(torch, wanted), "as asked"
    if device.type == "cuda":
        return (
            (torch.bfloat16, "the GPU has bfloat16; losses are in float32")
            if torch.cuda.is_bf16_supported()
            else (torch.float32, "the GPU has no bfloat16")
        )
    ratio = _bfloat16_gain()
    reason = f"a trial on this CPU: bfloat16 takes {1 / ratio:.2f} times as long as float32"
    return (torch.bfloat16, reason) if ratio > 1.3 else (torch.float32, reason)


@lru_cache(maxsize=1)
def _bfloat16_gain() -> float:
    """How many times faster a small encoder-like product is in bfloat16 than in float32, forward and
    backward.
    """
    import time

    hidden, weight = torch.randn(512, 384), torch.randn(1536, 384, requires_grad=True)
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        times = []
        for _ in range(6):
            begin = time.thread_time()  # this thread's own time: a busy machine does not change the choice
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
                nn.functional.gelu(nn.functional.linear(hidden, weight)).sum().backward()
            times.append(time.thread_time() - begin)
        seconds[dtype] = min(times)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def arithmetic(device: torch.device, dtype: torch.dtype) -> RunIn:
    """What makes the context of a model's forward: autocast for half precision, else nothing."""
    if dtype is torch.float32:
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=dtype)
