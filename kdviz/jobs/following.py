"""The room follows: what the presenter shows, and what the room answers. One object a process, no names.

Everything here dies with the server. It holds the presenter's place as a link's parameters, and of each
follower nothing but a digest under a salt of this process, so that a browser answers a question once.

Only a holder of the presenter's code leads (`kdviz.jobs.permissions`); on a server without a code nobody
does. Followers ask for `version` as often as they like: it is a number, and costs no lock.
"""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kdviz.errors import RequestError
from kdviz.jobs.audience import Audience
from kdviz.jobs.permissions import Visitor
from kdviz.jobs.process_wide import process_wide

MAX_SEATS = 2000
MAX_QUESTIONS = 100
MAX_PARAMS, MAX_PARAM_CHARACTERS = 40, 6000


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the presenter shows: a page and a link's parameters. `version` grows with every change. `is_last`:
    the presenter has stopped, and it is what they showed last.
    """

    version: int
    page: str
    params: Mapping[str, str]
    is_last: bool = False


@dataclass
class _Question:
    num_choices: int
    is_revealed: bool = False
    answers: dict[bytes, int] = field(default_factory=dict)


class Following:
    """What one process's room follows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.version = 0
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self._leader: str | None = None
        self._shown: Shown | None = None
        self._questions: OrderedDict[str, _Question] = OrderedDict()
        self._audience = Audience(clock, MAX_SEATS)

    # ---- the presenter

    def lead(
        self, visitor: Visitor, page: str, params: Mapping[str, str], *, take_over: bool = False
    ) -> None:
        """Show the room this place. RequestError where `visitor` does not hold the presenter's code, or where
        another holder leads and this one does not take over.
        """
        _require_presenter(visitor)
        if len(params) > MAX_PARAMS or any(
            len(str(value)) > MAX_PARAM_CHARACTERS for value in params.values()
        ):
            raise RequestError("the view is too large to be shown to the room; choose a shorter sentence")
        kept = MappingProxyType({str(name): str(value) for name, value in params.items()})
        with self._lock:
            if self._leader not in (None, visitor.owner) and not take_over:
                raise RequestError("another presenter leads the room; take over, or wait until they end")
            if self._leader is None:
                self._questions.clear()
            self._leader, before = visitor.owner, self._shown
            if before and not before.is_last and (before.page, before.params) == (page, kept):
                return
            self.version += 1
            self._shown = Shown(version=self.version, page=page, params=kept)

    def is_led_by(self, visitor: Visitor) -> bool:
        """Whether this visitor leads now, and still holds the code."""
        return visitor.is_presenter and self._leader == visitor.owner

    @property
    def is_led(self) -> bool:
        return self._leader is not None

    def end(self, visitor: Visitor) -> None:
        """Stop leading: followers keep the last view, the counts that were shown with it too, and are told; a
        question that is open is closed. RequestError for who does not hold the presenter's code.
        """
        _require_presenter(visitor)
        with self._lock:
            if self._leader is None or self._shown is None:
                return
            self._leader = None
            self.version += 1
            self._shown = replace(self._shown, version=self.version, is_last=True)
            for name in [name for name, asked in self._questions.items() if not asked.is_revealed]:
                del self._questions[name]

    def reveal(self, visitor: Visitor, question: str) -> None:
        """Show the room the answer and the counts of a question."""
        _require_presenter(visitor)
        with self._lock:
            asked = self._questions.get(question)
            if asked and not asked.is_revealed:
                asked.is_revealed = True
                self.version += 1

    def put(self, visitor: Visitor, question: str, num_choices: int) -> None:
        """Put a question to the room, once; its answers stay when the presenter goes on and comes back."""
        _require_presenter(visitor)
        with self._lock:
            if question in self._questions:
                return
            self._questions[question] = _Question(num_choices)
            while len(self._questions) > MAX_QUESTIONS:
                self._questions.popitem(last=False)
            self.version += 1

    # ---- the room

    @property
    def now(self) -> tuple[Shown | None, int]:
        """(what is shown to the room, None where nobody has led; the version of that and of its questions)"""
        with self._lock:
            return self._shown, self.version

    def is_put(self, question: str) -> bool:
        return question in self._questions

    def is_revealed(self, question: str) -> bool:
        asked = self._questions.get(question)
        return bool(asked and asked.is_revealed)

    def answer(self, visitor: Visitor, question: str, choice: int) -> None:
        """A follower's choice, counted from 0; a later one replaces it. RequestError where the question is
        not open, or there is no such choice.
        """
        seat = self._seat(visitor)
        with self._lock:
            asked = self._questions.get(question)
            if asked is None or asked.is_revealed:
                raise RequestError("this question is not open any more; wait for the next one")
            if not 0 <= choice < asked.num_choices:
                raise RequestError(f"expected a choice from 0 to {asked.num_choices - 1}, got {choice}")
            if seat not in asked.answers and len(asked.answers) >= MAX_SEATS:
                raise RequestError(f"the room has {MAX_SEATS:,} answers already, and takes no more")
            asked.answers[seat] = choice

    def choice_of(self, visitor: Visitor, question: str) -> int | None:
        """What this visitor answered."""
        asked = self._questions.get(question)
        return asked.answers.get(self._seat(visitor)) if asked else None

    def counts(self, question: str) -> Sequence[int]:
        """How many chose each; () where the question was not put."""
        with self._lock:
            asked = self._questions.get(question)
            if asked is None:
                return ()
            counts = [0] * asked.num_choices
            for choice in asked.answers.values():
                counts[choice] += 1
            return tuple(counts)

    def seen(self, window: str, pace_seconds: float) -> None:
        """A follower's window is there, and asks again in `pace_seconds`. `window` is a name that only the
        server knows it by.
        """
        self._audience.seen(window, pace_seconds)

    def pace(self, least_seconds: float) -> float:
        """Seconds between two questions of one window: `least_seconds`, and longer in a large room."""
        return self._audience.pace(least_seconds)

    @property
    def windows(self) -> tuple[str, ...]:
        """The windows that follow now."""
        return self._audience.windows

    def _seat(self, visitor: Visitor) -> bytes:
        return hashlib.blake2b(visitor.owner.encode(), key=self._salt, digest_size=12).digest()


def _require_presenter(visitor: Visitor) -> None:
    if not visitor.is_presenter:
        raise RequestError(
            "leading the room needs the presenter's code (KDVIZ_PRESENTER_CODE of this server); give it first"
        )


def shared() -> Following:
    """The one object of this process."""
    return process_wide("following", Following)
