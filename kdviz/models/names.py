"""From what somebody typed or pasted to a checkpoint's place: a registry name, a folder, or a hub id."""

from __future__ import annotations

import difflib
import os
import re
import urllib.parse
from dataclasses import dataclass, replace
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.models.registry import TEACHERS
from kdviz.paths import INVISIBLE, QUOTES, out_of_address

_QUOTES = "".join((*QUOTES, *QUOTES.values()))
_HUB_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"({_HUB_PART})/({_HUB_PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{{0,99}}))?")
_HUB_URL = re.compile(r"(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf://)(.*)", re.IGNORECASE)
_OTHER_URL = re.compile(r"https?://([^/\s]+).*", re.IGNORECASE)

_IN_CACHE = "models--"
"""How the folder of a model begins in the hub's cache: models--owner--name."""

_PAGES = ("tree", "blob", "resolve", "raw", "commit", "commits")

# Before 2024 these models had no owner in their name; caches still hold them under the short one.
_OWNERS = (
    ("distilbert-", "distilbert"),
    ("distilroberta-", "distilbert"),
    ("xlm-roberta-", "FacebookAI"),
    ("roberta-", "FacebookAI"),
    ("bert-base-", "google-bert"),
    ("bert-large-", "google-bert"),
    ("camembert-base", "almanach"),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a checkpoint is: `folder`, or `hub_id` at `revision`. `name` is the text that means the same from
    every working directory, as runs record it. `file`: the one in it that was named, None where none was.
    """

    name: str
    folder: Path | None = None
    hub_id: str | None = None
    revision: str = "main"
    file: str | None = None

    @property
    def hub_names(self) -> tuple[str, ...]:
        """The hub id, and the shorter one that it had before owners were part of every name."""
        if self.hub_id is None:
            return ()
        owner, _, short = self.hub_id.partition("/")
        if any(short.startswith(begin) and owner == known for begin, known in _OWNERS):
            return (self.hub_id, short)
        return (self.hub_id,)


def place_of(text: str, *, field: str = "teacher") -> Place:
    """The place that `text` means. Blanks, quotation marks, `~`, a file instead of its folder, the
    address of a hub's page, `owner/name@revision`, `models--owner--name` and names without their owner are
    understood. RequestError where nothing of the kind is meant; no network, no look into the folder.
    """
    clean = text.strip().strip(INVISIBLE).strip().strip(_QUOTES).strip()
    if clean.lower() in TEACHERS:
        return _registered(clean.lower())
    if (page := _page_of_hub(clean)) is not None:
        return _from_address(page, field, text)
    if there := _folder(clean):
        folder, file = there
        return Place(name=str(folder), folder=folder, file=file)
    clean = clean.rstrip("/")
    if clean.startswith(_IN_CACHE):
        clean = clean.removeprefix(_IN_CACHE).replace("--", "/", 1)
    if (found := _HUB_ID.fullmatch(clean)) and "--" not in clean and ".." not in clean:
        return _on_hub(f"{found[1]}/{found[2]}", found[3])
    owner = next((owner for begin, owner in _OWNERS if clean.lower().startswith(begin)), None)
    if owner and (found := _HUB_ID.fullmatch(f"{owner}/{clean}")):
        return _on_hub(f"{owner}/{found[2]}", found[3])
    raise RequestError(f"{field}: {_not_a_place(clean, text)}", field=field)


def _page_of_hub(clean: str) -> str | None:
    """The path of an address of the hub, or of the mirror that HF_ENDPOINT names; None of any other text."""
    if found := _HUB_URL.fullmatch(clean):
        return found[1]
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/") + "/"
    is_there = _OTHER_URL.fullmatch(mirror) and clean.lower().startswith(mirror.lower())
    return clean[len(mirror) :] if is_there else None


def _registered(name: str) -> Place:
    return Place(name=name, hub_id=TEACHERS[name].location)


def _on_hub(hub_id: str, revision: str | None) -> Place:
    if revision in (None, "main"):
        return Place(name=hub_id, hub_id=hub_id)
    return Place(name=f"{hub_id}@{revision}", hub_id=hub_id, revision=revision)


def _from_address(rest: str, field: str, text: str) -> Place:
    """The model of a hub page: owner/name, then perhaps tree/REVISION, blob/REVISION/FILE, a query. A slash
    in a revision is written %2F there. RequestError where the page is that of a folder in a repository.
    """
    path = rest.partition("?")[0].partition("#")[0].strip("/")
    parts = [urllib.parse.unquote(part) for part in path.removeprefix("api/").split("/")]
    if parts[0] == "models" and len(parts) > 1:
        parts = parts[1:]
    if parts[0] in ("datasets", "spaces", "papers", "docs", "collections"):
        raise RequestError(
            f"{field}: expected the page of a model, got that of {parts[0]}: {text.strip()[:100]!r}",
            field=field,
        )
    length = 1 if len(parts) == 1 or parts[1] in _PAGES else 2
    name, page = "/".join(parts[:length]).removesuffix(".git"), parts[length : length + 1]
    revision, *inside = (
        parts[length + 1 :] if page and page[0] in _PAGES and parts[length + 1 :] else ["main"]
    )
    if inside and (page[0] == "tree" or len(inside) > 1):
        raise RequestError(
            f"{field}: expected the page of a whole model, got that of {'/'.join(inside)[:60]!r} in {name}; "
            "download that folder and give its path (a branch with a slash in its name is written "
            f"{name}@{'/'.join([revision, *inside])[:60]})",
            field=field,
        )
    place = place_of(name if revision == "main" else f"{name}@{revision}", field=field)
    return replace(place, file=inside[0]) if inside else place


def _folder(clean: str) -> tuple[Path, str | None] | None:
    """The folder meant by a path, absolute; that of a file is the one it lies in, with the file's name."""
    if not clean or "\0" in clean or any("\ud800" <= letter <= "\udfff" for letter in clean):
        return None  # no file can keep the name of such a folder
    clean = out_of_address(clean)
    for spelled in (clean, clean.replace("\\ ", " ")):
        path = os.path.abspath(os.path.expanduser(spelled))
        try:
            if os.path.isdir(path):
                return Path(path), None
            if os.path.isfile(path):
                return Path(os.path.dirname(path)), os.path.basename(path)
        except (OSError, ValueError):
            return None
    return None


def _not_a_place(clean: str, text: str) -> str:
    if re.match(r"[A-Za-z]:[\\/]|\\\\", clean):
        hint = "; that is a path of Windows, and this machine has no such folder"
    elif found := _OTHER_URL.fullmatch(clean):
        hint = (
            f"; that is an address of {found[1][:60]}, which is not the hub: give owner/name, and where it "
            "is a mirror set HF_ENDPOINT to it"
        )
    elif clean.startswith(("/", "./", "../", "~", "file:")) or clean.count("/") > 1:
        hint = _how_far(clean)
    else:
        close = difflib.get_close_matches(clean.lower(), TEACHERS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
    return (
        f"expected one of {', '.join(TEACHERS)}, a local folder or a hub id owner/name, got "
        f"{text.strip()[:100]!r}{hint}"
    )


def _how_far(clean: str) -> str:
    """The part of a path that exists."""
    path = Path(os.path.abspath(os.path.expanduser(out_of_address(clean))))
    here = next((parent for parent in path.parents if os.path.isdir(parent)), None)
    return f"; there is {here}, but no {path.relative_to(here).parts[0][:60]!r} in it" if here else ""
