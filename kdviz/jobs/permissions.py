"""Who may do what in a shared room. Decided here, on the server side, for every action.

Settings come from the environment, read once per decision so that tests and servers need no global state:

KDVIZ_READ_ONLY=1             nobody starts, stops or deletes anything.
KDVIZ_PRESENTER_CODE=...      needed to start, stop or delete; who gave it (see `kdviz.jobs.presenter_code`)
                              may do so with every run.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from kdviz.errors import RequestError
from kdviz.jobs.presenter_code import has_given_code, presenter_code

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
        return cls(owner=owner, is_presenter=has_given_code(owner, environment))


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """What the settings of this server allow."""

    read_only: bool = False
    needs_code: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Permissions":
        return cls(
            read_only=environment.get("KDVIZ_READ_ONLY", "").strip().lower() not in _OFF,
            needs_code=bool(presenter_code(environment)),
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
