"""Paths that people give, by flag, environment variable, file or page: all are understood alike."""

import errno
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from kdviz.errors import RequestError

RUNS_VARIABLE = "KDVIZ_RUNS_DIR"
INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060\u202a\u202c"
"""Letters without a shape that come along where text is copied."""
QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": "\u201d",
    "\u2018": "\u2019",
    "\u00ab": "\u00bb",
    "\u201e": "\u201c",
}
"""Quotation marks that open, and the one that closes each."""
_HALF = re.compile("[\ud800-\udfff]")
"""Of a surrogate pair: a byte of a name that is no UTF-8."""


def user_path(given: str | Path, *, field: str | None = None) -> Path:
    """The absolute path that somebody means by `given`: what copying puts around it is taken off, a file://
    address is its path, `~` is the home folder. RequestError where it can be no path.
    """
    text = str(given).strip().strip(INVISIBLE).strip()
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    text = out_of_address(text)
    if not text or "\0" in text:
        raise RequestError(f"{field or 'path'}: expected a path, got {str(given)[:80]!r}", field=field)
    if _HALF.search(text):
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


def out_of_address(text: str) -> str:
    """The path in a file:// address, as browsers and file managers copy one; any other text as it is."""
    if not text.lower().startswith("file://"):
        return text
    return urllib.parse.unquote(urllib.parse.urlsplit(text).path)


def runs_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """KDVIZ_RUNS_DIR, else runs/ in the working directory: the same for the app and the command line."""
    return user_path(environment.get(RUNS_VARIABLE, "").strip() or "runs", field=RUNS_VARIABLE)
