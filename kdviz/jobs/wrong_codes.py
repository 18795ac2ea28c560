"""Guesses at the presenter's code: counted by address and for the server as a whole, so that guessing is slow
however many sessions guess.
"""

import logging
import threading
import time
from collections import deque

from kdviz.jobs.process_wide import process_wide

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 900
FREE_OF_ADDRESS, MOST_ADDRESS_SECONDS = 2, 300.0
FREE_OF_SERVER, MOST_SERVER_SECONDS = 10, 10.0
MOST_REMEMBERED = 10_000


class WrongCodes:
    """The wrong codes of the last quarter of an hour.

    After two from one address each next try has to wait twice as long, up to five minutes. After ten in all,
    whoever they came from, everybody waits up to ten seconds: a presenter at another address than the guesser
    still gets in. Tries that come too soon are refused unread and not counted.
    """

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self._seen: deque[tuple[float, str]] = deque(maxlen=MOST_REMEMBERED)

    def seconds_to_wait(self, address: str) -> float:
        """How long the next try from `address` has to wait; 0 where it need not."""
        now = time.monotonic()
        while self._seen and now - self._seen[0][0] > REMEMBERED_SECONDS:
            self._seen.popleft()
        own = [when for when, who in self._seen if who == address]
        until = 0.0
        if len(own) > FREE_OF_ADDRESS:
            until = own[-1] + min(MOST_ADDRESS_SECONDS, 2.0 ** min(20, len(own) - FREE_OF_ADDRESS))
        if len(self._seen) > FREE_OF_SERVER:
            pause = min(MOST_SERVER_SECONDS, float(len(self._seen) - FREE_OF_SERVER))
            until = max(until, self._seen[-1][0] + pause)
        return max(0.0, until - now)

    def count(self, address: str) -> None:
        """One more wrong code from `address`. It is logged, the code itself never."""
        self._seen.append((time.monotonic(), address))
        own = sum(who == address for _, who in self._seen)
        log.warning(
            "wrong presenter's code from %s: %d from there and %d in all in the last quarter of an hour",
            address,
            own,
            len(self._seen),
        )


def shared() -> WrongCodes:
    """The count of this process."""
    return process_wide("wrong_codes", WrongCodes)
