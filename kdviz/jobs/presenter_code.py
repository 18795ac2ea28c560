"""The presenter's code (KDVIZ_PRESENTER_CODE): who gave it, and the guesses at it, counted by address and for
the server as a whole, so that guessing is slow however many sessions guess.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kdviz.errors import RequestError
from kdviz.jobs.process_wide import process_wide

if TYPE_CHECKING:
    from kdviz.jobs.permissions import Visitor

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


def give_code(
    visitor: Visitor,
    given: str,
    environment: Mapping[str, str] = os.environ,
    *,
    address: str = "an unknown address",
) -> bool:
    """Whether `given` is the presenter's code, compared in constant time; remembers the visitor's browser if
    so. RequestError, and the code is not looked at, where too many wrong ones came before (`WrongCodes`).
    """
    wrong_codes, code = _wrong_codes(), presenter_code(environment)
    with wrong_codes.guard:  # the next try, from another session, sees that this one was wrong
        if wait := wrong_codes.seconds_to_wait(address):
            raise RequestError(f"Too many wrong codes were given; try again in {math.ceil(wait)} s.")
        if not code or not hmac.compare_digest(_digest(given), _digest(code)):
            wrong_codes.count(address)
            return False
    _presenters()[visitor.owner] = _digest(code)
    return True


def has_given_code(owner: str, environment: Mapping[str, str]) -> bool:
    """Whether the browser of that owner gave the code that is asked for now."""
    code = presenter_code(environment)
    return bool(code) and hmac.compare_digest(_presenters().get(owner, b""), _digest(code))


def presenter_code(environment: Mapping[str, str]) -> str:
    """The code that this server asks for; "" where it asks for none."""
    return environment.get("KDVIZ_PRESENTER_CODE", "").strip()


def _digest(code: str) -> bytes:
    """Equal lengths for `compare_digest`, which tells the length of what it compares."""
    return hashlib.sha256(code.strip().encode("utf-8", "surrogatepass")).digest()


def _presenters() -> dict[str, bytes]:
    """Browsers that gave the code, and which."""
    return process_wide("presenters", dict)


def _wrong_codes() -> WrongCodes:
    """The count of this process."""
    return process_wide("wrong_codes", WrongCodes)
