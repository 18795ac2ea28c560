"""How many windows look at a live view, and how often each may ask for news without holding up the others.

One process draws some thirty live views a second and trains beside it. It is asked for half of that at most:
a larger room is told less often, and stays quick to click in.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

NEWS_A_SECOND = 15.0
PRESENT_PACES = 3.0
"""A window that has let so many of its turns pass has left."""
MOST_WINDOWS = 5000


class Audience:
    """The windows of one process that look at something that changes: its live views, what a presenter shows.
    What it forgets costs a turn, no more.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_windows: int = MOST_WINDOWS):
        self._clock, self._lock, self._most = clock, threading.Lock(), most_windows
        self._until: OrderedDict[str, float] = OrderedDict()

    def seen(self, window: str, pace_seconds: float) -> None:
        """This window asks now, and will again in `pace_seconds`."""
        with self._lock:
            self._until[window] = self._clock() + PRESENT_PACES * pace_seconds
            self._until.move_to_end(window)
            while len(self._until) > self._most:
                self._until.popitem(last=False)

    @property
    def windows(self) -> tuple[str, ...]:
        """Those that have not left."""
        now = self._clock()
        with self._lock:
            for window in [window for window, until in self._until.items() if until < now]:
                del self._until[window]
            return tuple(self._until)

    def pace(self, least_seconds: float) -> float:
        """Seconds between two questions of one window: `least_seconds`, and longer in a large room."""
        return max(least_seconds, len(self.windows) / NEWS_A_SECOND)


def is_another(wanted_seconds: float, pace_seconds: float) -> bool:
    """Whether a pace is so far from what is wanted that changing it is worth drawing the page anew."""
    return not 0.5 <= wanted_seconds / pace_seconds <= 1.5


audience = Audience()
