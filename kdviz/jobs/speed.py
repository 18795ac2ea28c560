"""How long a run takes, before it starts: from the lengths of its texts and a short measurement of this
machine.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kdviz.config import RunConfig
from kdviz.data.examples import Example
from kdviz.errors import RequestError
from kdviz.files import MEBIBYTE
from kdviz.jobs.lazy_imports import import_heavy
from kdviz.method.strategies import STRATEGIES
from kdviz.method.targets import stage_needs
from kdviz.models.checkpoint import Checkpoint
from kdviz.models.families import FAMILIES
from kdviz.training.request import Request

SAMPLE_SIZE = 500
REPEATS = 6
TOKENS_PER_WORD = 1.15
_WORD = re.compile(r"\w+|[^\w\s]")
Layers = tuple[str, int, int, str, str]
"""What the speed of a layer depends on: family, heads, width, and the device and arithmetic asked for."""
_measured: dict[Layers, threading.Event] = {}
_guard = threading.Lock()


def rough_mean_tokens(examples: Sequence[Example], max_length: int) -> float:
    """Mean length in tokens of (some of) the examples, cut to `max_length`: words and marks, a little more
    for split words, and the special tokens. Within a tenth of the tokenizer's count on GLUE, without loading
    one.
    """
    lengths = _rough_lengths(examples, max_length)
    return sum(lengths) / len(lengths)


def _rough_lengths(examples: Sequence[Example], max_length: int) -> list[float]:
    """Lengths of some of the examples, spread evenly over them; of none, the longest."""
    some = examples[:: max(1, len(examples) // SAMPLE_SIZE)]
    lengths = [
        min(
            max_length,
            TOKENS_PER_WORD * len(_WORD.findall(f"{example.text_a} {example.text_b or ''}"))
            + 2
            + (example.text_b is not None),
        )
        for example in some
    ]
    return lengths or [float(max_length)]


def estimated_seconds(request: Request, num_threads: int | None = None) -> tuple[float, float]:
    """(seconds of distillation with evaluations, seconds of the teacher's fine-tuning), in the arithmetic and
    on the device asked for; where there is no such device here, on the one that is.
    """
    config, checkpoint = request.config, request.checkpoint
    num_train, num_eval = len(request.train), len(request.evaluation)
    mean_tokens = rough_mean_tokens(request.train, config.max_length)
    own = request.student_checkpoint or checkpoint
    teacher, student = (
        _Costs.of(_layers_of(which, config), which, num_train, mean_tokens, num_threads)
        for which in (checkpoint, own)
    )
    are_kept, evaluations_are_kept = _outputs_kept(request)
    steps_per_epoch, seconds = request.steps_per_epoch, 0.0
    for stage in request.stages:
        num_layers = stage.num_layers_needed(config.student_layers)
        seconds += stage.epochs * student.epoch_seconds(num_layers, num_train, steps_per_epoch)
    # The teacher's forward alone, in training's arithmetic: once for all layers, or live in every step as
    # far as the stage asks.
    passes = float(checkpoint.num_layers) if are_kept else _live_layers(request)
    outputs = num_train * passes * teacher.training / 3 if STRATEGIES[config.strategy].uses_teacher else 0.0
    evaluations = num_eval * (
        teacher.forward * checkpoint.num_layers * (1 if evaluations_are_kept else config.epochs + 1)
        + student.forward * config.student_layers * (config.epochs + 1)
    )
    finetuning = config.teacher_epochs * teacher.epoch_seconds(
        checkpoint.num_layers, num_train, steps_per_epoch
    )
    return seconds + outputs + evaluations + 0.25 * (config.epochs + 1), finetuning


def _live_layers(request: Request) -> float:
    """Layers of a live teacher that an example runs through in all epochs together."""
    total, most = 0.0, request.checkpoint.num_layers
    for stage in request.stages:
        needs = stage_needs(stage, request.pairs, request.config)
        total += stage.epochs * (most if needs.logits else needs.num_layers)
    return total


def _outputs_kept(request: Request) -> tuple[bool, bool]:
    """Whether the teacher's outputs for training, and those for evaluation, fit into a budget, as
    `kdviz.training.teacher_outputs` settles it: in memory, or on disk with half the digits.
    """
    config, kept = request.config, []
    memory_left, disk = config.cache_memory_mb * MEBIBYTE, config.cache_disk_mb * MEBIBYTE
    sets = [(request.evaluation, request.evaluation_needs), (request.train, request.training_needs)]
    for examples, needs in sets:
        lengths = _rough_lengths(examples, config.max_length)
        cells = len(examples) * request.checkpoint.num_heads * sum(n * n for n in lengths) / len(lengths)
        size = 4 * needs.num_values(len(examples), num_cells=int(cells), width=request.checkpoint.hidden_size)
        kept.append(config.cache != "off" and (size <= memory_left or size // 2 <= disk))
        memory_left -= size if size <= memory_left else 0
    return kept[1], kept[0]


@dataclass(frozen=True, kw_only=True)
class _Costs:
    """Seconds of a layer for one example, forward alone and in training; of the optimiser's step for the
    embeddings and for a layer.
    """

    forward: float
    training: float
    embeddings_step: float
    layer_step: float

    @staticmethod
    def of(
        layers: Layers, checkpoint: Checkpoint, num_train: int, mean_tokens: float, num_threads: int | None
    ) -> "_Costs":
        speed, width = layer_speed(*layers, num_threads=num_threads), checkpoint.hidden_size
        used_rows = min(
            checkpoint.vocab_size, 10 * (num_train * mean_tokens) ** 0.57
        )  # Heaps' law with what English gives; see kdviz.training.used_rows
        step = speed.optimizer_seconds_per_parameter
        return _Costs(
            forward=speed.forward_seconds_per_token * mean_tokens,
            training=speed.training_seconds_per_token * mean_tokens,
            embeddings_step=step * (used_rows + checkpoint.max_positions) * width,
            layer_step=step * 12 * width**2,
        )

    def epoch_seconds(self, num_layers: int, num_train: int, steps_per_epoch: int) -> float:
        """An epoch of training so many layers."""
        step = self.embeddings_step + num_layers * self.layer_step
        return num_train * num_layers * self.training + steps_per_epoch * step


def _layers_of(checkpoint: Checkpoint, config: RunConfig) -> Layers:
    asked = config.device_choice, config.dtype_choice
    return checkpoint.family.model_type, checkpoint.num_heads, checkpoint.hidden_size, *asked


def speed_is_known(request: Request, *, measure: bool, num_threads: int) -> bool:
    """Whether `estimated_seconds` can answer at once. With `measure`, a thread of its own measures when it is
    not so (importing torch takes seconds, and a page cannot wait).
    """
    models = (request.checkpoint, request.student_checkpoint)
    wanted = {_layers_of(which, request.config) for which in models if which}
    with _guard:
        for layers in wanted - _measured.keys() if measure else ():
            done = _measured[layers] = threading.Event()
            threading.Thread(
                target=_measure, args=(layers, num_threads, done), name="kdviz-speed", daemon=True
            ).start()
        return all(layers in _measured and _measured[layers].is_set() for layers in wanted)


def _measure(layers: Layers, num_threads: int, done: threading.Event) -> None:
    import_heavy()
    layer_speed(*layers, num_threads=num_threads)
    done.set()


@dataclass(frozen=True, kw_only=True)
class LayerSpeed:
    """Seconds of one encoder layer for one token, forward alone and in training, and of the optimiser for one
    parameter.
    """

    forward_seconds_per_token: float
    training_seconds_per_token: float
    optimizer_seconds_per_parameter: float


@lru_cache(maxsize=16)
def layer_speed(
    model_type: str,
    num_heads: int,
    hidden_size: int,
    device_choice: str,
    dtype_choice: str,
    *,
    num_threads: int | None = None,
) -> LayerSpeed:
    """Measure training steps of a small model with such layers on this machine, as the loop makes them:
    recorded maps, their KL, dropout, and the arithmetic the loop would choose. Batches of 32 × 16 tokens, a
    few times, the second fastest counts. A device that is not here is none of this machine's: what a study
    plans for another one is measured on what is.
    """
    import torch

    from kdviz.method.losses import attention_kl
    from kdviz.models.build import random_classifier
    from kdviz.models.trace import seed_dropout, trace
    from kdviz.training.device import arithmetic, choose_device, choose_dtype

    if num_threads:
        torch.set_num_threads(num_threads)
    try:
        device, _ = choose_device(device_choice)
    except RequestError:
        device, _ = choose_device("auto")
    run_in = arithmetic(device, choose_dtype(dtype_choice, device)[0])
    generator, num_layers = torch.Generator(device=device), 2
    model = random_classifier(
        FAMILIES[model_type], num_layers=num_layers, num_heads=num_heads, width=hidden_size, vocab_size=1000
    )
    model = model.to(device).train()
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

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    tokens = ids.numel() * num_layers
    return LayerSpeed(
        forward_seconds_per_token=_second_fastest(forward, wait) / tokens,
        training_seconds_per_token=_second_fastest(step, wait) / tokens,
        optimizer_seconds_per_parameter=_second_fastest(optimizer.step, wait) / table.numel(),
    )


def _second_fastest(action: Callable[[], None], wait: Callable[[], None]) -> float:
    """Seconds of `action` with what it began on a device; `wait` returns when that is done."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        action()
        wait()
        times.append(time.perf_counter() - begin)
    return sorted(times)[1]
