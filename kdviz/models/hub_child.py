"""The child process of `hub`: fetches files of one model into the hub's cache, as its parent tells it to.

One JSON object a line. In: {"repo", "revision"}, then any number of {"sizes_of": [names]} and
{"get": [names], "most_bytes"}. Out: {"files": {name: bytes, or null where the list does not tell}} first,
then {"sizes": {name: bytes}} for each sizes_of, and for each get {"bytes": so far} now and then and
{"folder": snapshot}; or {"error": one line} and the end.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from kdviz.compat import fetch_in_pieces_of, piece_counter
from kdviz.data.hub_reader import LATER, GaveUp, no_endless_retries, what_answered

CHUNK_BYTES = 1 << 18
MOST_TRIES = 6
SECONDS_BETWEEN_LINES = 0.2
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


class TooLarge(Exception):
    """More bytes came than the files were said to have."""


def main() -> None:
    """Answer the lines on standard input; whatever libraries print goes to standard error."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=output, flush=True)

    try:
        from huggingface_hub import HfApi

        fetch_in_pieces_of(CHUNK_BYTES)
        no_endless_retries(MOST_TRIES)
        asked = json.loads(sys.stdin.readline())
        about = HfApi().model_info(asked["repo"], revision=asked["revision"], files_metadata=True, timeout=10)
        tell({"files": {file.rfilename: file.size for file in about.siblings or ()}})
        for line in sys.stdin:
            wanted = json.loads(line)
            if "sizes_of" in wanted:
                tell({"sizes": {name: _size(name, **asked) for name in wanted["sizes_of"]}})
            else:
                tell({"folder": _fetch(asked["repo"], asked["revision"], tell=tell, **wanted)})
    except BaseException as error:  # the parent needs one line of whatever happened
        tell({"error": _reason(error)})


def _size(name: str, repo: str, revision: str) -> int | None:
    """What the file's own address says: mirrors and proxies of the hub list files without their sizes."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    size: int | None = get_hf_file_metadata(hf_hub_url(repo, name, revision=revision), timeout=10).size
    return size


def _fetch(
    repo: str, revision: str, *, get: list[str], most_bytes: int, tell: Callable[[dict[str, Any]], None]
) -> str:
    from huggingface_hub import hf_hub_download

    counted, told = 0, time.monotonic()

    def add(num_bytes: int) -> None:
        nonlocal counted, told
        counted += num_bytes
        if counted > most_bytes:
            raise TooLarge
        if time.monotonic() - told > SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            tell({"bytes": counted})

    folder, counter = "", piece_counter(add)
    for name in get:
        before = counted
        path = hf_hub_download(repo, name, revision=revision, etag_timeout=5, tqdm_class=counter)
        folder = path[: -len(name)].rstrip("/\\")
        if counted == before:  # it was in the cache
            add(os.path.getsize(path))
    return folder


def _reason(error: BaseException) -> str:
    """Why it cannot be had, and what to do about that."""
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GaveUp):
        return f"{error}; {LATER}"
    if isinstance(error, TooLarge):
        return "it sends more than it said it would"
    if isinstance(error, OSError) and (error.filename or error.errno in _OF_THE_DISK):
        place = f" at {error.filename}" if error.filename else ""
        return (
            f"the hub's cache cannot be written ({error.strerror}{place}); free some space, or set HF_HOME "
            "to a folder that can be written"
        )
    if "Consistency check failed" in str(error):
        return f"it sent less than it said it would; {LATER}"
    if kind == "GatedRepoError":
        return "it is gated: agree to its terms on its page of the hub, and log in with 'hf auth login'"
    if kind == "RepositoryNotFoundError" or status in (401, 403):
        return (
            "there is no such model, or it is private (then log in with 'hf auth login' first); check the id"
        )
    if kind in ("RevisionNotFoundError", "EntryNotFoundError", "RemoteEntryNotFoundError"):
        return "there is no such revision or file; check the id"
    text = " ".join(str(error).split())[:160]
    return what_answered(error) or f"{kind}: {text}".rstrip(": ") + "; check the id"


if __name__ == "__main__":
    main()
