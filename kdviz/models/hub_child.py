"""The child process of `hub`: fetches files of one model into the hub's cache, as its parent tells it to.

One JSON object a line. In: {"repo", "revision"}, then any number of {"sizes_of": [names]} and
{"get": [names], "most_bytes"}. Out: {"files": {name: bytes, or null where the list does not tell}} first,
then {"sizes": {name: bytes}} for each sizes_of, and for each get {"bytes": so far} now and then and
{"folder": snapshot}; or {"error": one line} and the end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from kdviz.compat import fetch_in_pieces_of, piece_counter
from kdviz.data.hub_reader import GaveUp, no_endless_retries

CHUNK_BYTES = 1 << 18
MOST_TRIES = 6
SECONDS_BETWEEN_LINES = 0.2


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
    chain = [error]
    while (before := chain[-1].__cause__) is not None and before not in chain:
        chain.append(before)
    return next(filter(None, map(_known, chain)), None) or _other(error)


def _known(error: BaseException) -> str | None:
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GaveUp):
        return f"{error}; try again later"
    if isinstance(error, TooLarge):
        return "it sends more than it said it would"
    if "Consistency check failed" in str(error):
        return "it sent less than it said it would; try again later"
    if kind == "GatedRepoError":
        return "it is gated: agree to its terms on its page of the hub, and log in with 'hf auth login'"
    if kind == "RepositoryNotFoundError" or status in (401, 403):
        return (
            "there is no such model, or it is private (then log in with 'hf auth login' first); check the id"
        )
    if kind in ("RevisionNotFoundError", "EntryNotFoundError", "RemoteEntryNotFoundError"):
        return "there is no such revision or file; check the id"
    if status == 429:
        return "the hub takes no more requests from here for now (it answered 429); try again later"
    if status is not None and status >= 500:
        return f"the hub is in trouble (it answered {status}); try again later"
    if "Timeout" in kind:
        return "the hub did not answer in time; try again later"
    if kind in ("RemoteProtocolError", "ReadError", "ConnectError"):
        return f"the connection broke ({_in_short(error)}); try again, it goes on where it was"
    if kind == "JSONDecodeError":
        return (
            "what answered is no hub (a login page of this network?); open the hub in a browser, and look at "
            "HF_ENDPOINT where that is set"
        )
    return None


def _other(error: BaseException) -> str:
    return f"{type(error).__name__}: {_in_short(error)}".rstrip(": ") + "; check the id"


def _in_short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


if __name__ == "__main__":
    main()
