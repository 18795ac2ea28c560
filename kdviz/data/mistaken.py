"""What a file of the release was mistaken for: another name, another format, another task's layout.

Twenty lines of "got '-1'" say less than one word on what the file is.
"""

import os
import re
from pathlib import Path

from kdviz.data.likely import MOST_LOOKED_AT
from kdviz.task import Task
from kdviz.tasks import TASKS

_OTHER_NAMES = (
    (r"{name}\.(gz|bz2|xz|zst|zip)", "it is compressed: unpack it"),
    (r"{name}\.(part|crdownload|download|incomplete)", "an unfinished download: get it again"),
    (r"msr_paraphrase_.*", "Microsoft's own files, not divided as in GLUE: get GLUE's train.tsv and dev.tsv"),
    (r"quora_duplicate_questions.*", "Quora's own file, not divided: get GLUE's train.tsv and dev.tsv"),
    (r".*\.(parquet|arrow)", "the hub's files: choose the source hub"),
    (r"(?i){stem}\.(csv|txt|jsonl?|xlsx?|ods)", "another format: save it as tab-separated text, {name}"),
    (r".*\.(zip|tar|tgz|tar\.gz)", "an archive: unpack it"),
    (r"dataset_(dict|info)\.json", "a data set as datasets' save_to_disk writes it: choose the source hub"),
    (r"(?i)(val|valid|validation|eval){part}\.tsv", "call it {name}"),
    (r"test.*\.tsv", "whose labels the release keeps back"),
)
"""(names that may lie in a file's place, what they are)."""

_OTHER_FORMATS = (
    (
        b"version https://git-lfs",
        "a git-lfs pointer, not the file itself",
        "run 'git lfs pull' in its folder",
    ),
    (b"<!doctype", "a web page that was saved under this name", "download the file itself"),
    (b"<html", "a web page that was saved under this name", "download the file itself"),
    (b"\x1f\x8b", "a compressed file (gzip)", "unpack it"),
    (b"BZh", "a compressed file (bzip2)", "unpack it"),
    (b"\xfd7zXZ", "a compressed file (xz)", "unpack it"),
    (b"PK\x03\x04", "an archive (zip)", "unpack it"),
    (b'{"', "a file in the format JSON", "save it as tab-separated text, or choose the source hub"),
    (b"[{", "a file in the format JSON", "save it as tab-separated text, or choose the source hub"),
    (b"PAR1", "a file in the format parquet", "save it as tab-separated text, or choose the source hub"),
)
"""(how it begins, what it is, what to do)."""


def what_lies_beside(path: Path) -> str:
    """` (but FILE is there: …)` where a file in the same folder was probably meant to be `path`; else ""."""
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(MOST_LOOKED_AT)))
    except OSError:
        return ""
    spelled = next((name for name in names if name.lower() == path.name.lower() and name != path.name), None)
    if spelled:
        return f" (but {spelled} is there: rename it)"
    part = path.stem.removeprefix("dev") if path.stem.startswith("dev") else "(?!)"  # no part of train
    for pattern, words in _OTHER_NAMES:
        whole = pattern.format(name=re.escape(path.name), stem=re.escape(path.stem), part=part)
        found = next((name for name in names if re.fullmatch(whole, name)), None)
        if found:
            return f" (but {found[:100]} is there: {words.format(name=path.name)})"
    wanted = set(_plain(path.stem).split())
    for name in names:
        there = set(_plain(name).split())
        if wanted < there and there & {"tsv", "txt"} and (path.parent / name).is_file():
            return f" (but {name[:100]!r} is there: if that is meant, call it {path.name})"
    return ""


def another_format(content: bytes) -> tuple[str, str] | None:
    """(what it is, what to do) of a content that is no tab-separated text at all."""
    begin = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, what, advice in _OTHER_FORMATS:
        if (begin.lower() if magic.startswith(b"<") else begin).startswith(magic):
            return what, advice
    if content and not content.strip(b"\0"):
        return "zero bytes alone, as a crash leaves them", "get the file again"
    return None


_KEPT_BACK = " (a test file, whose labels are kept back?)"


def whose_first_line(line: str | None) -> str:
    """` (…?)` where the first line of a file without a header is the header of one with labels kept back."""
    return _KEPT_BACK if line is not None and _plain(line) in ("index sentence", "id sentence") else ""


def what_labels_are(values: set[str], task: Task) -> str:
    """` (…?)` where the labels of every row are of a known other kind; else ""."""
    wanted = task.label_names
    if values <= {"-1", ""}:
        return _KEPT_BACK
    if all(re.fullmatch(r"\d+\.0+", value) for value in values):
        return f" (written with a decimal point: write {', '.join(wanted)})"
    known = {_plain(word) for words in task.all_names for word in words}
    if {_plain(value) for value in values} <= known:
        pairs = [text if text == label else f"{text} for {label}" for text, label in zip(wanted, task.labels)]
        return f" (spelled otherwise: write {', '.join(pairs)})"
    return ""


def whose_header(header: list[str], task: Task) -> str:
    """` (…?)` where a header is that of another task, or the task's own spelled otherwise; else ""."""
    plain = {_plain(cell): cell for cell in header}
    needed = _columns(task)
    if needed and set(needed) - set(header) == {task.label_column} and "label" not in plain:
        return _KEPT_BACK
    if needed and all(_plain(name) in plain for name in needed):
        return f" (spelled otherwise: write {', '.join(needed)})"
    others = [other for other in TASKS.values() if _columns(other) and set(_columns(other)) <= set(header)]
    if others and len(set(needed) & set(header)) < 2:
        return f" (the layout of {max(others, key=lambda other: len(_columns(other))).title}?)"
    for mark, words in ((",", "commas"), (";", "semicolons")):
        if len(header) == 1 and header[0].count(mark) > 1:
            return f" (separated by {words}?)"
    return ""


def _columns(task: Task) -> list[str]:
    return [*map(str, task.folder_columns), task.label_column] if isinstance(task.label_column, str) else []


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
