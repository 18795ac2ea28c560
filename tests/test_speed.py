"""The estimate of a run's time before it starts: what it counts, with the measurement of the machine set."""

from dataclasses import replace

import pytest

from kdviz.errors import RequestError
from kdviz.jobs import speed
from kdviz.jobs.speed import LayerSpeed, estimated_seconds, layer_speed
from kdviz.training.request import Request, resolve_request

FORWARD, TRAINING = 1.0, 1000.0


@pytest.fixture
def asked_for(monkeypatch) -> list[tuple]:
    """What was measured; a token takes a layer `FORWARD` seconds, and `TRAINING` in a training step."""
    seen = []

    def measured(*layers, num_threads=None) -> LayerSpeed:
        seen.append(layers)
        return LayerSpeed(
            forward_seconds_per_token=FORWARD,
            training_seconds_per_token=TRAINING,
            optimizer_seconds_per_parameter=0.0,
        )

    monkeypatch.setattr(speed, "layer_speed", measured)
    return seen


def distilling(request: Request) -> float:
    return estimated_seconds(request)[0]


def test_the_estimate_is_for_the_arithmetic_that_is_asked_for(tiny, asked_for):
    """bfloat16 on a CPU without it took fourteen times what was estimated."""
    estimated_seconds(resolve_request(tiny.config(dtype_choice="bfloat16", device_choice="cpu")))
    assert {layers[-2:] for layers in asked_for} == {("cpu", "bfloat16")}


@pytest.mark.parametrize("strategy", ["soft", "all", "sid", "hard"])
def test_a_teacher_that_is_asked_live_counts_in_every_epoch(tiny, asked_for, strategy):
    """Without its outputs kept a run took three times what was estimated."""
    kept = resolve_request(tiny.config(strategy=strategy, epochs=4))
    live = replace(kept, config=replace(kept.config, cache="off"))
    nowhere = replace(kept, config=replace(kept.config, cache_memory_mb=0, cache_disk_mb=0))
    on_disk = replace(kept, config=replace(kept.config, cache_memory_mb=0))
    assert distilling(live) == distilling(nowhere) and distilling(on_disk) == distilling(kept)
    tokens = speed.rough_mean_tokens(kept.train, 32)
    num_train, num_eval, depth = len(kept.train), len(kept.evaluation), kept.checkpoint.num_layers
    evaluations = num_eval * depth * 4 * tokens * FORWARD
    in_training = distilling(live) - distilling(kept) - evaluations
    once = num_train * depth * tokens * TRAINING / 3
    # sid asks for [CLS] and maps of one layer after the other before the last epoch's logits.
    times = {"soft": 3, "all": 3, "hard": 0}.get(strategy)
    assert (
        in_training == pytest.approx(times * once, abs=1e-3)
        if times is not None
        else 0 < in_training < 3 * once
    )


def test_a_device_that_is_not_here_is_no_hindrance_to_a_plan(tiny):
    """A study is planned on one machine and carried out on others."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RequestError, match="CUDA"):
        tiny.create(device_choice="cuda")
    found = layer_speed("bert", 2, 8, "cuda", "float32", num_threads=1)
    assert found.training_seconds_per_token > 0
