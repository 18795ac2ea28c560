"""How far a study is, and how long it still takes."""

import time

from kdviz.progress import duration_words
from kdviz.studies.check import Forecast


def all_finished(num_runs: int) -> str:
    """That nothing is left to do of a study of so many runs."""
    return f"all {num_runs} runs are finished" if num_runs != 1 else "its one run is finished"


class Progress:
    """How far a study is: finished of all, failed, and the time left from how the estimates held so far."""

    def __init__(self, forecast: Forecast):
        self._open = {cell.cell.run_id: cell.seconds for cell in forecast.open}
        self._teachers = {name: cell.teacher_seconds for name, cell in forecast.teachers.items()}
        self.num_all, self.num_done = len(forecast.cells), len(forecast.cells) - len(forecast.open)
        self._at_once = forecast.at_once
        self._estimated, self._begin = 0.0, time.monotonic()

    def begin(self) -> None:
        """The clock starts now, where somebody had to be waited for."""
        self._begin = time.monotonic()

    def done(self, name: str) -> None:
        """A run or a teacher has ended, well or not."""
        if name in self._open:
            self.num_done += 1
        self._estimated += self._open.pop(name, 0.0) + self._teachers.pop(name, 0.0)

    @property
    def seconds_left(self) -> float:
        left = sum(self._open.values()) + sum(self._teachers.values())
        spent = time.monotonic() - self._begin
        measured = self._estimated > 0 and spent > 1
        return left * (spent / self._estimated if measured else 1.0 / self._at_once)

    @property
    def text(self) -> str:
        return f"{self.num_done} of {self.num_all} runs done, about {duration_words(self.seconds_left)} left"
