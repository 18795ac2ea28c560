"""Paths that people give, by flag, environment variable, file or page: all are understood alike."""

import os
from collections.abc import Mapping
from pathlib import Path

from kdviz.errors import RequestError

RUNS_VARIABLE = "KDVIZ_RUNS_DIR"


def user_path(given: str | Path, *, field: str | None = None) -> Path:
    """The absolute path that somebody means by `given`: blanks and quotation marks around it are taken off,
    `~` is the home folder. RequestError where it can be no path.
    """
    text = str(given).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    if not text or "\0" in text:
        raise RequestError(f"{field or 'path'}: expected a path, got {str(given)[:80]!r}", field=field)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise RequestError(
            f"{field or 'path'}: expected a path in UTF-8, got {text[:80]!r}; rename the folder, or give a "
            "link to it",
            field=field,
        )
    return Path(os.path.abspath(os.path.expanduser(text)))


def runs_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """KDVIZ_RUNS_DIR, else runs/ in the working directory: the same for the app and the command line."""
    return user_path(environment.get(RUNS_VARIABLE, "").strip() or "runs")
