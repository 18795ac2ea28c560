"""How long a run took, and how long it still takes, from how long its steps and evaluations took so far."""

import time

from kdviz.method.stages import StageSchedule
from kdviz.training.events import Event, StageBegun, StepDone


class Stopwatch:
    """Seconds that one training itself took, without those in which others take their turn."""

    def __init__(self) -> None:
        self._counted, self._since, self._lap = 0.0, time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Counted so far; while it runs."""
        return self._counted + time.perf_counter() - self._since

    def pause(self) -> None:
        """Count no more until `go_on`."""
        self._counted = self.seconds

    def go_on(self) -> None:
        """Count again."""
        self._since = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self._lap = self._lap, self.seconds
        return self._lap - before


class Clock:
    """Measures seconds per step of the current stage; other stages are scaled by the layers they run."""

    def __init__(self, schedule: StageSchedule, steps_per_epoch: int, epochs: int, num_student_layers: int):
        self._schedule, self._steps_per_epoch, self._epochs = schedule, steps_per_epoch, epochs
        # A step costs its layers, forward and backward, and about one layer's worth of optimiser and
        # embeddings.
        self._units = [stage.num_layers_needed(num_student_layers) + 1 for stage in schedule.stages]
        self._seconds_per_unit: float | None = None
        self._evaluation_seconds = 0.0
        self._last: float | None = None
        self._current = 0

    def __call__(self, event: Event) -> None:
        """Listen to a training: count each step when it has ended."""
        if isinstance(event, StageBegun):
            self._current = event.index
        if not isinstance(event, StepDone):
            return
        now, last, stage_index = time.perf_counter(), self._last, self._current
        self._last = now
        if last is None or now - last > 60:
            return
        unit = (now - last) / self._units[stage_index]
        self._seconds_per_unit = (
            unit if self._seconds_per_unit is None else 0.95 * self._seconds_per_unit + 0.05 * unit
        )

    def evaluated(self, seconds: float) -> None:
        """Count one evaluation; its time is not a step's."""
        self._evaluation_seconds, self._last = seconds, None

    @property
    def steps_per_second(self) -> float | None:
        return (
            None if not self._seconds_per_unit else 1 / (self._seconds_per_unit * self._units[self._current])
        )

    def seconds_left(self, step: int, epoch: int) -> float | None:
        """Seconds to the end of the run, should no stage end before its plan; None before the first steps."""
        if self._seconds_per_unit is None:
            return None
        left, seconds, now = self._steps_per_epoch * self._epochs - step, 0.0, self._schedule.index
        for index, stage in enumerate(self._schedule.stages[now:], now):
            steps = stage.epochs * self._steps_per_epoch
            if index == now:
                steps -= step - self._steps_per_epoch * (epoch - self._schedule.epochs_in_stage)
            is_last = index == len(self._schedule.stages) - 1
            steps = left if is_last else min(left, max(0, steps))
            seconds += steps * self._units[index] * self._seconds_per_unit
            left -= steps
        return seconds + (self._epochs - epoch) * self._evaluation_seconds
