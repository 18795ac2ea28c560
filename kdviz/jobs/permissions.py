"""Who may do what in a shared room. Decided here, on the server side, for every action.

Settings come from the environment, read once per decision so that tests and servers need no global state:

KDVIZ_READ_ONLY=1             nobody starts, stops or deletes anything.
KDVIZ_PRESENTER_CODE=...      needed to start, stop or delete; who gave it may do so with every run.
"""

import hashlib
import hmac
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from kdviz.errors import RequestError
from kdviz.jobs import wrong_codes as wrong
from kdviz.jobs.process_wide import process_wide

_OFF = ("", "0", "false", "no", "off")
"""What switches a variable off; anything else that somebody wrote there closes rather than opens."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A browser in the room. `owner` is a digest: it says which runs are this browser's and opens nothing by
    itself.
    """

    owner: str
    is_presenter: bool = False

    @classmethod
    def of(cls, secret: bytes, environment: Mapping[str, str] = os.environ) -> "Visitor":
        """The visitor holding `secret` (random bytes that only this browser and this server know)."""
        owner = owner_of(secret)
        return cls(
            owner=owner,
            is_presenter=bool(_code(environment))
            and hmac.compare_digest(_presenters().get(owner, b""), _digest(_code(environment))),
        )


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """What the settings of this server allow."""

    read_only: bool = False
    needs_code: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Permissions":
        return cls(
            read_only=environment.get("KDVIZ_READ_ONLY", "").strip().lower() not in _OFF,
            needs_code=bool(_code(environment)),
        )

    def refusal(self, action: str, visitor: Visitor, run_config: Mapping | None = None) -> str | None:
        """Why `visitor` may not do `action` (start, resume, stop, delete), in one line; None where they may.

        `run_config` is the run's config.json, for the actions on a run.
        """
        if self.read_only:
            return "This server only shows runs: starting, stopping and deleting are switched off."
        if self.needs_code:
            return (
                None
                if visitor.is_presenter
                else "The presenter's code is needed to start, stop or delete a run."
            )
        if action == "start" or (run_config is not None and owns(visitor, run_config)):
            return None
        if run_config is not None and not run_config.get("owner"):
            return "This run was started from the command line: python -m kdviz stops, resumes or deletes it."
        return f"Only the browser that started this run may {action} it."

    def require(self, action: str, visitor: Visitor, run_config: Mapping | None = None) -> None:
        """RequestError with the refusal, where there is one. Called right before the action itself."""
        reason = self.refusal(action, visitor, run_config)
        if reason:
            raise RequestError(reason)


def owns(visitor: Visitor, run_config: Mapping) -> bool:
    """Whether the run was started by this visitor's browser."""
    owner = run_config.get("owner")
    return (
        isinstance(owner, str) and bool(owner) and hmac.compare_digest(owner.encode(), visitor.owner.encode())
    )


def owner_of(secret: bytes) -> str:
    """What stands in a run's config.json: a digest of the browser's secret, useless for acting as that
    browser.
    """
    return hashlib.sha256(b"kdviz owner\0" + secret).hexdigest()[:32]


def new_secret() -> bytes:
    """A secret for a visitor whose browser keeps none."""
    return secrets.token_bytes(16)


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
    wrong_codes, code = wrong.shared(), _code(environment)
    with wrong_codes.guard:  # the next try, from another session, sees that this one was wrong
        if wait := wrong_codes.seconds_to_wait(address):
            raise RequestError(f"Too many wrong codes were given; try again in {math.ceil(wait)} s.")
        if not code or not hmac.compare_digest(_digest(given), _digest(code)):
            wrong_codes.count(address)
            return False
    _presenters()[visitor.owner] = _digest(code)
    return True


def _code(environment: Mapping[str, str]) -> str:
    return environment.get("KDVIZ_PRESENTER_CODE", "").strip()


def _digest(code: str) -> bytes:
    """Equal lengths for `compare_digest`, which tells the length of what it compares."""
    return hashlib.sha256(code.strip().encode("utf-8", "surrogatepass")).digest()


def _presenters() -> dict[str, bytes]:
    """Browsers that gave the code, and which."""
    return process_wide("presenters", dict)
