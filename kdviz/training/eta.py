"""How long a run still takes, from how long its steps and evaluations took so far."""

import time

from kdviz.method.stages import StageSchedule


class Clock:
    """Measures seconds per step of the current stage; other stages are scaled by the layers they run."""

    def __init__(self, schedule: StageSchedule, steps_per_epoch: int, epochs: int, num_student_layers: int):
        self._stages, self._steps_per_epoch, self._epochs = schedule.stages, steps_per_epoch, epochs
        # A step costs its layers, forward and backward, and about one layer's worth of optimiser and
        # embeddings.
        self._units = [stage.num_layers_needed(num_student_layers) + 1 for stage in self._stages]
        self._seconds_per_unit: float | None = None
        self._evaluation_seconds = 0.0
        self._last: float | None = None
        self._current = 0

    def step(self, stage_index: int) -> None:
        """Count one step that just ended in that stage."""
        now, last = time.perf_counter(), self._last
        self._last, self._current = now, stage_index
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

    def seconds_left(self, step: int, epoch: int, stage_index: int) -> float | None:
        """Seconds to the end of the run; None before the first steps."""
        if self._seconds_per_unit is None:
            return None
        left, seconds = self._steps_per_epoch * self._epochs - step, 0.0
        ends = self._stage_ends()
        for index in range(stage_index, len(self._stages)):
            steps = left if index == len(self._stages) - 1 else min(left, max(0, ends[index] - step))
            seconds += steps * self._units[index] * self._seconds_per_unit
            left, step = left - steps, step + steps
        return seconds + (self._epochs - epoch) * self._evaluation_seconds

    def _stage_ends(self) -> list[int]:
        ends, total = [], 0
        for stage in self._stages:
            total += stage.epochs * self._steps_per_epoch
            ends.append(total)
        return ends
