"""How long a run still takes."""

import pytest
import torch

from kdviz.method.objective import Terms
from kdviz.method.stages import Stage, StageSchedule
from kdviz.training import eta
from kdviz.training.events import StageBegun, StepDone

LAYERS, STEPS = 3, 10


def stages() -> list[Stage]:
    single = [Stage(layers=(layer,), classification="none", epochs=4) for layer in range(LAYERS)]
    return [*single, Stage(layers=(), classification="soft", epochs=4)]


@pytest.mark.parametrize("moves_up", [False, True])
def test_the_time_left_is_that_of_the_stages_that_are_left(monkeypatch, moves_up):
    """A stage that ended early would make every later one look shorter: what it saved goes to the last, whose
    steps run all layers.
    """
    schedule, epochs, now = StageSchedule(stages(), threshold=0.5), 16, [0.0]
    monkeypatch.setattr(eta.time, "perf_counter", lambda: now[0])
    clock = eta.Clock(schedule, STEPS, epochs, LAYERS)
    taken, left, step = [], [], 0
    for epoch in range(epochs):
        clock(StageBegun(step=step, epoch=epoch, index=schedule.index, stage=schedule.current))
        layers = schedule.current.num_layers_needed(LAYERS) + 1
        for _ in range(STEPS):
            now[0] += layers
            taken.append(layers)
            step += 1
            clock(
                StepDone(
                    step=step,
                    terms=Terms(total=torch.zeros(())),
                    learning_rate=0.1,
                    num_examples=1,
                    ends_epoch=False,
                )
            )
            left.append(clock.seconds_left(step, epoch))
        schedule.epoch_ended(0.1 if moves_up and epoch == 0 else 1.0)
    # From the second epoch on, when the early move up is known.
    for place in range(STEPS + 1, len(taken), 7):
        assert left[place] == pytest.approx(sum(taken[place + 1 :])), place
