"""What a run will do, before it does: its stages, its steps, what to be warned of, and how long it takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from kdviz.config import RunConfig
from kdviz.method.stages import Stage, planned_stages
from kdviz.models.checkpoint import resolve
from kdviz.models.matching import match_layers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`pairs` are (student layer, teacher layer), 0-based; `seconds` is an estimate for the distillation
    (None where not measured).
    """

    stages: tuple[Stage, ...]
    pairs: tuple[tuple[int, int], ...]
    num_train: int
    num_eval: int
    steps_per_epoch: int
    total_steps: int
    warnings: tuple[str, ...]
    seconds: float | None = None
    teacher_seconds: float | None = None

    def to_dict(self) -> dict:
        """JSON-ready."""
        return {
            "stages": [stage.to_dict() for stage in self.stages],
            "pairs": [list(pair) for pair in self.pairs],
            "num_train": self.num_train,
            "num_eval": self.num_eval,
            "steps_per_epoch": self.steps_per_epoch,
            "total_steps": self.total_steps,
            "seconds": self.seconds,
            "teacher_seconds": self.teacher_seconds,
            "warnings": list(self.warnings),
        }


def plan(
    config: RunConfig,
    *,
    num_train: int,
    num_eval: int,
    mean_tokens: float | None = None,
    num_threads: int | None = None,
) -> Plan:
    """The plan for `config` on that many examples; with `mean_tokens` (an example's mean length) also an
    estimate of time.

    The estimate comes from a measurement of a fraction of a second on this machine, taken once. RequestError
    where teacher and student do not fit.
    """
    checkpoint = resolve(config.teacher)
    pairs = match_layers(config.matching, config.student_layers, checkpoint.num_layers)
    stages = tuple(planned_stages(config))
    steps_per_epoch = -(-num_train // config.batch_size)
    seconds = teacher_seconds = None
    if mean_tokens is not None:
        seconds, teacher_seconds = _estimate(
            config, checkpoint, stages, num_train, num_eval, mean_tokens, num_threads
        )
    return Plan(
        stages=stages,
        pairs=pairs,
        num_train=num_train,
        num_eval=num_eval,
        steps_per_epoch=steps_per_epoch,
        total_steps=steps_per_epoch * config.epochs,
        warnings=tuple(_warnings(config, stages)),
        seconds=seconds,
        teacher_seconds=teacher_seconds,
    )


def _warnings(config: RunConfig, stages: tuple[Stage, ...]) -> list[str]:
    found = []
    share = stages[-1].epochs / config.epochs
    if len(stages) > 1 and share < 0.2:
        found.append(
            f"Classification gets {stages[-1].epochs} of {config.epochs} epochs ({share:.0%}), less than a "
            "fifth: the student may not learn the task. Give more epochs, or fewer for each layer."
        )
    found += [f"{name} has no effect with strategy {config.strategy}." for name in config.idle_settings]
    return found


def _estimate(
    config: RunConfig,
    checkpoint,
    stages: tuple[Stage, ...],
    num_train: int,
    num_eval: int,
    mean_tokens: float,
    num_threads: int | None,
) -> tuple[float, float]:
    """(seconds of distillation with evaluations, seconds of the teacher's fine-tuning)."""
    speed = layer_speed(checkpoint.hidden_size, num_threads)
    forward = speed.forward_seconds_per_token * mean_tokens
    both = speed.training_seconds_per_token * mean_tokens
    depth, steps_per_epoch = config.student_layers, -(-num_train // config.batch_size)
    used_rows = min(
        checkpoint.vocab_size, 10 * (num_train * mean_tokens) ** 0.57
    )  # Heaps' law with what English gives; see kdviz.training.used_rows
    embedding_parameters = (used_rows + checkpoint.max_positions) * checkpoint.hidden_size

    def step_seconds(num_layers: int) -> float:
        return speed.optimizer_seconds_per_parameter * (
            embedding_parameters + num_layers * 12 * checkpoint.hidden_size**2
        )

    seconds = 0.0
    for stage in stages:
        num_layers = stage.num_layers_needed(depth)
        seconds += stage.epochs * (num_train * num_layers * both + steps_per_epoch * step_seconds(num_layers))
    outputs = (
        0.0 if config.strategy == "hard" else num_train * checkpoint.num_layers * both / 3
    )  # forward alone, in training's arithmetic
    evaluations = num_eval * forward * (checkpoint.num_layers + depth * (config.epochs + 1))
    teacher = config.teacher_epochs * (
        num_train * checkpoint.num_layers * both + steps_per_epoch * step_seconds(checkpoint.num_layers)
    )
    return seconds + outputs + evaluations + 0.25 * (config.epochs + 1), teacher


@dataclass(frozen=True, kw_only=True)
class LayerSpeed:
    """Seconds of one encoder layer for one token, forward alone and in training, and of the optimiser for one
    parameter.
    """

    forward_seconds_per_token: float
    training_seconds_per_token: float
    optimizer_seconds_per_parameter: float


@lru_cache(maxsize=8)
def layer_speed(hidden_size: int, num_threads: int | None = None) -> LayerSpeed:
    """Measure training steps of a small BERT of that width on this machine, as the loop makes them: recorded
    maps, their KL, dropout, and the arithmetic the loop would choose. Batches of 32 × 16 tokens, a few times,
    the second fastest counts.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from kdviz.method.losses import attention_kl
    from kdviz.models.trace import IMPLEMENTATION, seed_dropout, trace
    from kdviz.training.optimise import arithmetic, choose_device, choose_dtype

    if num_threads:
        torch.set_num_threads(num_threads)
    device, _ = choose_device("auto")
    run_in = arithmetic(device, choose_dtype("auto", device)[0])
    generator, num_layers = torch.Generator(device=device), 2
    config = BertConfig(
        vocab_size=1000,
        hidden_size=hidden_size,
        num_attention_heads=max(1, hidden_size // 32),
        intermediate_size=4 * hidden_size,
        num_hidden_layers=num_layers,
    )
    config._attn_implementation = IMPLEMENTATION
    model = BertForSequenceClassification(config).to(device).train()
    seed_dropout(model, generator)
    ids = torch.arange(32 * 16, device=device).reshape(32, 16) % 1000
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    table = torch.nn.Parameter(torch.zeros(1_000_000, device=device))
    optimizer = torch.optim.AdamW([table], fused=True)
    table.grad = torch.zeros_like(table)

    def forward() -> None:
        with torch.no_grad():
            trace(model.eval(), ids, mask, types, record=range(num_layers))

    def step() -> None:
        with run_in():
            traced = trace(model.train(), ids, mask, types, record=range(num_layers), generator=generator)
        (
            sum(attention_kl(maps.detach().roll(1, 0), maps, mask) for maps in traced.log_probs.values())
            + traced.last.float().mean()
        ).backward()

    tokens = ids.numel() * num_layers
    return LayerSpeed(
        forward_seconds_per_token=_second_fastest(forward) / tokens,
        training_seconds_per_token=_second_fastest(step) / tokens,
        optimizer_seconds_per_parameter=_second_fastest(optimizer.step) / table.numel(),
    )


def _second_fastest(action: Callable[[], None], repeats: int = 6) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return sorted(times)[1]
