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

_AS_TABLE = "save it as tab-separated text, or choose the source hub"
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
    (b'{"', "a file in the format JSON", _AS_TABLE),
    (b"[{", "a file in the format JSON", _AS_TABLE),
    (b"PAR1", "a file in the format parquet", _AS_TABLE),
    (b"ARROW1", "a file in the format Arrow", _AS_TABLE),
    (b"\xff\xff\xff\xff", "a file in the format Arrow", _AS_TABLE),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel", _AS_TABLE),
    (b"%PDF", "a PDF", _AS_TABLE),
    (b"<?xml", "a page in XML, as servers answer where a file is not given out", "download the file itself"),
    (b"\x28\xb5\x2f\xfd", "a compressed file (zstandard)", "unpack it"),
    (b"7z\xbc\xaf", "an archive (7z)", "unpack it"),
)
"""(how it begins, what it is, what to do)."""

_PARTS_OF_A_WORKBOOK = (b"[Content_Types].xml", b"opendocument")
"""What is in the first bytes of a spreadsheet that is an archive."""

_SEPARATORS = (
    (",", "commas"),
    (";", "semicolons"),
    ("|", "bars"),
    ("\\t", "a backslash and a t"),
    ("  ", "blanks"),
)


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
    for name in names:
        if os.path.isfile(path.parent / name / path.name):
            return f" (but {name[:100]}/{path.name} is there: move it up)"
        if os.path.isfile(path.parent / name / "dataset_info.json"):
            return f" (but {name[:100]} is there, as datasets' save_to_disk writes it: choose the source hub)"
    wanted = set(_plain(path.stem).split())
    for name in names:
        there = set(_plain(name).split())
        if wanted < there and there & {"tsv", "txt"} and os.path.isfile(path.parent / name):
            return f" (but {name[:100]!r} is there: if that is meant, call it {path.name})"
    return ""


def another_format(content: bytes) -> tuple[str, str] | None:
    """(what it is, what to do) of a content that is no tab-separated text at all."""
    begin = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begin.startswith(b"PK") and any(part in content[:4096] for part in _PARTS_OF_A_WORKBOOK):
        return "a spreadsheet's workbook", _AS_TABLE
    as_lines = b"".join(begin.split())  # JSON is written in lines, too
    for magic, what, advice in _OTHER_FORMATS:
        if begin.lower().startswith(magic.lower()) or as_lines.startswith(magic):
            return what, advice
    if content and not content.strip(b"\0"):
        return "zero bytes alone, as a crash leaves them", "get the file again"
    return None


_KEPT_BACK = " (a test file, whose labels are kept back?)"


def whose_first_line(line: str | None, task: Task) -> str:
    """` (…?)` where the first line of a file without a header is the header of another, or its columns are
    separated otherwise.
    """
    if line is None:
        return ""
    if _plain(line) in ("index sentence", "id sentence"):
        return _KEPT_BACK
    return _hubs(line.split("\t"), task) or _separated_otherwise(
        line, task.num_columns or len(_columns(task))
    )


def _hubs(header: list[str], task: Task) -> str:
    """` (…)` where a header is that of the task on the hub, as its tables are exported."""
    needed = _columns(task)
    is_hubs = {*task.hub_columns, "label"} <= set(header) and not (needed and set(needed) <= set(header))
    how = f", or write {', '.join(needed)}" if needed else ""
    return f" (the hub's columns: choose the source hub{how})" if is_hubs else ""


def _separated_otherwise(line: str, num_columns: int) -> str:
    if "\t" in line:
        return ""
    found = (words for mark, words in _SEPARATORS if line.count(mark) >= max(1, num_columns - 1))
    words = next(found, None)
    return f" (separated by {words}?)" if words else ""


def what_labels_are(values: set[str], task: Task) -> str:
    """` (…?)` where the labels of every row are of a known other kind; else ""."""
    wanted = task.label_names
    if values <= {"-1", ""}:
        return _KEPT_BACK
    if values <= {f'"{text}"' for text in wanted}:
        return " (in quotation marks: save the file without quoting)"
    if all(re.fullmatch(r"\d+\.0+", value) for value in values):
        return f" (written with a decimal point: write {_by_number(task)})"
    if values <= set(map(str, range(task.num_labels))):
        return f" (the hub's numbers: write {_by_number(task)})"
    if values <= {"True", "False"} and set(wanted) == {"0", "1"}:
        return " (truth values: write 0 for False, 1 for True)"
    known = {_plain(word) for words in task.all_names for word in words}
    if {_plain(value) for value in values} <= known:
        pairs = [text if text == label else f"{text} for {label}" for text, label in zip(wanted, task.labels)]
        return f" (spelled otherwise: write {', '.join(pairs)})"
    return ""


def _by_number(task: Task) -> str:
    """What the release's files have for each of the hub's numbers."""
    named = zip(task.label_names, map(str, range(task.num_labels)), strict=True)
    return ", ".join(text if text == number else f"{text} for {number}" for text, number in named)


def whose_header(header: list[str], task: Task) -> str:
    """` (…?)` where a header is that of another task, or the task's own spelled otherwise; else ""."""
    plain = {_plain(cell): cell for cell in header}
    needed = _columns(task)
    if any(header.count(name) > 1 for name in needed):
        return ""  # that is said already
    if needed and set(needed) - set(header) == {task.label_column} and "label" not in plain:
        return _KEPT_BACK
    if needed and all(_plain(name) in plain for name in needed):
        return f" (spelled otherwise: write {', '.join(needed)})"
    if hubs := _hubs(header, task):
        return hubs
    others = [other for other in TASKS.values() if _columns(other) and set(_columns(other)) <= set(header)]
    if others and len(set(needed) & set(header)) < 2:
        return f" (the layout of {max(others, key=lambda other: len(_columns(other))).title}?)"
    return _separated_otherwise(header[0], len(needed)) if len(header) == 1 else ""


def _columns(task: Task) -> list[str]:
    return [*map(str, task.folder_columns), task.label_column] if isinstance(task.label_column, str) else []


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
