"""A model of the hub: found in the cache, or fetched into it by who has leave to.

Looking never downloads. With `Downloads` (the leave: who gives it has asked for permission) the order is
config.json and the sizes of all files, then, where the model can be used and is not too large, its tokenizer
and weights. The hub's library runs in a child process (`hub_child`), which can be ended at any moment; what
it has fetched by then is continued the next time.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from kdviz.compat import cache_folders, hub_repositories, hub_snapshot
from kdviz.data.hub import child_environment, why_no_hub
from kdviz.data.tokenizer_files import TOKENIZERS, is_tokenizer_file
from kdviz.errors import RequestError
from kdviz.files import free_bytes, size_words
from kdviz.models.names import Place
from kdviz.models.refusals import MOST_JSON_BYTES, Unusable, read_json_object
from kdviz.models.weights_files import PICKLED, SAFETENSORS, has_weights

MOST_DOWNLOAD_BYTES = 2_000_000_000
SMALL_FILE_BYTES = 64 << 20
SECONDS_WITHOUT_A_SIGN = 60.0
DISK_RESERVE_BYTES = 256 << 20
_AGAIN = "try again, it goes on where it was"


class NotHere(RequestError):
    """A model of the hub that is not on this machine; `place` says which. It can be fetched with leave."""

    def __init__(self, message: str, *, field: str, place: Place):
        super().__init__(message, field=field)
        self.place = place


@dataclass(frozen=True, kw_only=True)
class Downloads:
    """Leave to fetch a model: at most `most_bytes` of it. `progress` is told (bytes so far, bytes in all);
    `check_stop` is called several times a second and may raise.
    """

    most_bytes: int = MOST_DOWNLOAD_BYTES
    progress: Callable[[int, int], None] = lambda done, total: None
    check_stop: Callable[[], None] = lambda: None


def hub_folder(place: Place, *, field: str, downloads: Downloads | None = None) -> Path:
    """The local snapshot of a hub model, fetched where `downloads` allows it. NotHere where it is not in the
    cache and may not be fetched; RequestError where it cannot be had.
    """
    found = cached_folder(place)
    if found:
        return found
    name = place.name if place.name == place.hub_id else f"{place.name} ({place.hub_id})"
    if downloads is None:
        raise NotHere(
            f"{field}: {name} is not in the local cache of this machine{_missing(place)}; download it "
            f"('kdviz teachers --download {place.name}'), or use minilm-l6 or a local folder",
            field=field,
            place=place,
        )
    if why := why_no_hub():
        raise RequestError(
            f"{field}: {name} is not in the local cache ({cache_folders()[1]}) and {why}"
            f"{_missing(place)}; use minilm-l6 or a local folder",
            field=field,
        )
    try:
        return _fetched(place, downloads)
    except Unusable as error:
        raise RequestError(
            f"{field}: {name} cannot be had from the model hub: {error}; else use minilm-l6", field=field
        ) from None


def cached_folder(place: Place) -> Path | None:
    """The snapshot in the hub's cache that holds config, weights and tokenizer; no network, no library."""
    return next((snapshot for snapshot in _cached(place) if not _lacks(snapshot)), None)


def _cached(place: Place) -> Iterator[Path]:
    """The snapshots in the hub's cache that have something of the model."""
    for repository in (repository for name in place.hub_names for repository in hub_repositories(name)):
        for snapshot in _snapshots(repository, place.revision):
            if os.path.exists(snapshot / "config.json"):
                yield snapshot


def _lacks(snapshot: Path) -> list[str]:
    """Which parts of a model are not in a snapshot, as a sentence begins with them."""
    has_tokenizer = any(os.path.exists(snapshot / file) for file in TOKENIZERS)
    return ["weights are"] * (not has_weights(snapshot)) + ["tokenizer is"] * (not has_tokenizer)


def _snapshots(repository: Path, revision: str) -> Iterator[Path]:
    """Where a revision may lie: what its reference names, its own folder, or the only snapshot there is."""
    with suppress(OSError, ValueError):
        yield hub_snapshot(repository, revision)
    yield repository / "snapshots" / revision
    if revision == "main":
        try:
            there = sorted((repository / "snapshots").iterdir())
        except OSError:
            return
        if len(there) == 1:
            yield there[0]


def _missing(place: Place) -> str:
    """What the cache lacks of a model of which it has a part (who used the tokenizer alone has no weights).
    Else a hub id may have been meant as a path: said where it was typed and not taken from the registry.
    """
    if there := next(_cached(place), None):
        return f" as a whole (its {' and '.join(_lacks(there))} missing)"
    return f", nor is there a folder {place.name[:80]!r}" if place.name == place.hub_id else ""


def _fetched(place: Place, downloads: Downloads) -> Path:
    """Fetch a model: first what tells whether it can be used, then the rest. Unusable with the reason."""
    from kdviz.models.checkpoint import check_config

    with _child(place, downloads) as fetch:
        if "config.json" not in fetch.names:
            raise Unusable("it has no config.json, so it is no model that transformers reads")
        config_bytes = fetch.size_of(["config.json"])
        if config_bytes > MOST_JSON_BYTES:
            raise Unusable("its config.json is larger than any should be")
        folder = fetch(["config.json"], config_bytes)
        check_config(read_json_object(folder / "config.json"))
        wanted = _weights_among(fetch)
        # What tells a cache that it has a tokenizer comes last: a download that breaks off is gone on with.
        tokenizer = sorted(filter(is_tokenizer_file, fetch.names), key=lambda name: name in TOKENIZERS)
        fetch.size_of(tokenizer)  # asked for at once where the list does not tell
        wanted += [name for name in tokenizer if fetch.size_of([name]) <= SMALL_FILE_BYTES]
        total = fetch.size_of(wanted)
        if total > downloads.most_bytes:
            raise Unusable(
                f"it is {size_words(total)}, and at most {size_words(downloads.most_bytes)} may be "
                "fetched (KDVIZ_MAX_DOWNLOAD_BYTES)"
            )
        free = free_bytes(folder) - DISK_RESERVE_BYTES
        if total > free:
            raise Unusable(f"it is {size_words(total)}, and the disk has room for {size_words(max(0, free))}")
        downloads.progress(0, total)
        folder = fetch(wanted, total, report=True)
        downloads.progress(total, total)
        return folder


def _weights_among(fetch: _Fetch) -> list[str]:
    """The weights to take, safetensors first; shards as their index lists them."""
    for name in (SAFETENSORS, PICKLED):
        index = f"{name}.index.json"
        if name in fetch.names:
            return [name]
        if index in fetch.names:
            folder = fetch([index], min(fetch.size_of([index]), SMALL_FILE_BYTES))
            listed = read_json_object(folder / index).get("weight_map")
            files = sorted({str(file) for file in listed.values()}) if isinstance(listed, dict) else []
            missing = [file for file in files if file not in fetch.names]
            if missing or not files:
                raise Unusable(f"its {index} lists files that it does not have")
            return [index, *files]
    others = [name for name in fetch.names if name.endswith((".h5", ".msgpack", ".onnx", ".gguf"))]
    hint = f" (only {others[0][:60]})" if others else ""
    raise Unusable(f"it has neither {SAFETENSORS} nor {PICKLED}{hint}")


class _Fetch:
    """The conversation with one child."""

    def __init__(self, said: IO[str], heard: IO[str], place: Place, downloads: Downloads):
        self._said, self._heard, self._downloads = said, heard, downloads
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._send({"repo": place.hub_id, "revision": place.revision})
        self._sizes: dict[str, int | None] = self._answer("files")

    @property
    def names(self) -> Collection[str]:
        """The files that the model has."""
        return self._sizes.keys()

    def size_of(self, names: Sequence[str]) -> int:
        """Bytes of these files together. Unusable where the hub does not say."""
        if unknown := [name for name in names if self._sizes[name] is None]:
            self._send({"sizes_of": unknown})
            self._sizes |= self._answer("sizes")
        known = [size for name in names if (size := self._sizes[name]) is not None and size >= 0]
        if len(known) < len(names):
            raise Unusable("the hub does not say how large its files are")
        return sum(known)

    def __call__(self, names: list[str], num_bytes: int, *, report: bool = False) -> Path:
        """Fetch `names`, which are said to have `num_bytes`; the snapshot folder they lie in."""
        self._send({"get": names, "most_bytes": num_bytes})
        told = (lambda done: self._downloads.progress(min(done, num_bytes), num_bytes)) if report else None
        return Path(self._answer("folder", told))

    def _read(self) -> None:
        for line in self._heard:
            self._lines.put(line)
        self._lines.put("")

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._said.write(json.dumps(message) + "\n")
            self._said.flush()
        except OSError:
            raise Unusable(f"the download ended by itself; {_AGAIN}") from None

    def _answer(self, key: str, progress: Callable[[int], None] | None = None) -> Any:
        """The value of `key` in the child's next answer; progress lines on the way are told."""
        heard = time.monotonic()
        while True:
            self._downloads.check_stop()
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                if time.monotonic() - heard > SECONDS_WITHOUT_A_SIGN:
                    raise Unusable(f"nothing came for {SECONDS_WITHOUT_A_SIGN:.0f} s; {_AGAIN}") from None
                continue
            heard = time.monotonic()
            if not line:
                raise Unusable(f"the download ended by itself; {_AGAIN}")
            answer = json.loads(line)
            if "error" in answer:
                raise Unusable(str(answer["error"]))
            if "bytes" in answer and progress:
                progress(answer["bytes"])
            if key in answer:
                return answer[key]


@contextmanager
def _child(place: Place, downloads: Downloads) -> Iterator[_Fetch]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kdviz.models.hub_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(offline=False),
        text=True,
        encoding="utf-8",
        cwd=os.getcwd(),
    )
    said, heard = cast(IO[str], process.stdin), cast(IO[str], process.stdout)  # both are pipes
    try:
        yield _Fetch(said, heard, place, downloads)
    finally:
        process.kill()
        process.wait()
        said.close()
