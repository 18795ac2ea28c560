"""Paths that people give, by flag, environment variable, file or page: all are understood alike."""

import errno
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
    path = os.path.expanduser(text)
    if path.startswith("~") and not os.path.lexists(path):
        raise RequestError(
            f"{field or 'path'}: expected a path, got {text[:80]!r}, and there is no such home folder; write "
            "it out",
            field=field,
        )
    try:
        path = os.path.abspath(path)
    except FileNotFoundError:
        raise RequestError(
            f"{field or 'path'}: {text[:80]!r} is meant from the working directory, and that was removed; "
            "change to a folder that is there",
            field=field,
        ) from None
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise RequestError(
                f"{field or 'path'}: expected a path that the system allows, got one of {len(text):,} "
                "characters; choose a shorter one",
                field=field,
            ) from None
    return Path(path)


def runs_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """KDVIZ_RUNS_DIR, else runs/ in the working directory: the same for the app and the command line."""
    return user_path(environment.get(RUNS_VARIABLE, "").strip() or "runs", field=RUNS_VARIABLE)
