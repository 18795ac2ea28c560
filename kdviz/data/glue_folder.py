"""Reading the GLUE release layout: `<data_dir>/CoLA/train.tsv` and so on.

The release's files are tab-separated without quoting: a quotation mark is part of the text, a line ends at
"\n" and nowhere else (texts hold U+2028 and U+0085). A byte-order mark, carriage returns before a line's
end and blank lines at the end are tolerated. Rows with the release's own known damage (`Task.damage`) are
skipped and counted. Everything else that is not as expected is one RequestError that lists the faulty rows of
all files with their lines.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from kdviz.data.examples import Example, Splits
from kdviz.data.likely import likely_folder
from kdviz.data.mistaken import (
    another_format,
    what_labels_are,
    what_lies_beside,
    whose_first_line,
    whose_header,
)
from kdviz.errors import RequestError
from kdviz.files import size_words
from kdviz.task import Task
from kdviz.tasks import task_named
from kdviz.text import counted
from kdviz.visible import has_visible

MOST_LISTED = 20
"""How many faulty rows an answer names with their lines; the others it counts."""

MOST_BYTES = 1_000_000_000
"""A file is read whole, and the release's largest has 80 MB; one of another kind must not take all memory."""

MOST_BROKEN_OFF, LARGEST_DAMAGED_SHARE = 50, 0.25
"""The release's damage is a handful of rows; a file with more is damaged in another way, and refused."""

MOST_BLANK_SHARE, MOST_REPEATED_SHARE = 0.01, 0.1
"""A few empty or garbled texts and repeated rows are in the release; more are said."""

_ENCODED_TWICE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac")
"""What UTF-8's bytes for accents, and for quotation marks, are in Latin-1 and Windows-1252."""

_HTML = re.compile(r"&(?:amp|quot|lt|gt|apos|nbsp|#\d{1,5});")

FEW_ROWS, LEAST_DIFFERENT_SHARE = 20, 0.05
"""Of more rows than a few, hardly any are of one and the same text in the release."""

FEW_QUOTED = 3
"""Excel puts quotation marks around every text with a comma. That so many texts have one, and all of them are
quotations, does not happen.
"""

_MEND = "mend or remove the line"
_ELSEWHERE = "put the release's file there or choose another source"


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, or with one line of it, and what to do about it."""

    path: Path
    line: int | None
    problem: str
    advice: str


@dataclass(kw_only=True)
class Rows:
    """What one file holds: its examples, how many rows of which known damage were skipped, what is wrong."""

    examples: list[Example] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def task_files(task: Task, data_dir: str | os.PathLike) -> dict[str, Path]:
    """The files of a task by split: "train", then the dev sets."""
    folder = Path(data_dir) / task.folder
    return {"train": folder / "train.tsv"} | {name: folder / file for name, file, _ in task.dev_splits}


def read_folder(task: Task, data_dir: str | os.PathLike) -> Splits:
    """Train and dev examples of a task. RequestError naming the files at fault, with their lines.

    Files that did not change since are not parsed again.
    """
    folder = Path(data_dir) / task.folder
    for path, hint in (
        (Path(data_dir), "give a folder in the GLUE release layout"),
        (folder, f"give the folder that holds {task.folder}/"),
    ):
        if not os.path.isdir(path):
            got = "a file" if os.path.exists(path) else "nothing"
            hint = likely_folder(task, Path(data_dir)) or hint
            raise _refusal(
                [Fault(path, None, f"expected a folder, got {got}", f"{hint}, or choose sample data")]
            )
    stamps, faults = [], []
    for path in task_files(task, data_dir).values():
        found = _stamp(path)
        (faults if isinstance(found, Fault) else stamps).append(found)
    if faults:
        raise _refusal(faults)
    return _read_folder(task.name, os.path.abspath(data_dir), tuple(stamps))


@lru_cache(maxsize=3)
def _read_folder(task_name: str, data_dir: str, stamps: tuple) -> Splits:
    task = task_named(task_name)
    read = {name: _read(path, task) for name, path in task_files(task, data_dir).items()}
    if faults := [fault for rows in read.values() for fault in rows.faults]:
        raise _refusal(faults)
    examples = {name: tuple(rows.examples) for name, rows in read.items()}
    for name, dev in examples.items():
        if name != "train" and (repeated := _repeated(dev, examples["train"])):
            read[name].warnings.append(repeated)
    return Splits(
        task=task_name,
        train=examples.pop("train"),
        dev=examples,
        skipped={name: dict(rows.skipped) for name, rows in read.items() if rows.skipped},
        warnings=tuple(f"{name}: {warning}" for name, rows in read.items() for warning in rows.warnings),
    )


def _stamp(path: Path) -> tuple[int, int, int] | Fault:
    """What changes when a file does. A fault unless it is an ordinary file: a pipe would never end."""
    try:
        found = path.stat()
    except OSError as error:
        instead = what_lies_beside(path) if isinstance(error, FileNotFoundError) else ""
        return Fault(path, None, f"expected a file, got {_reason(error)}{instead}", _ELSEWHERE)
    if not stat.S_ISREG(found.st_mode):
        return Fault(path, None, "expected a file, got something else", _ELSEWHERE)
    if found.st_size > MOST_BYTES:
        problem = f"expected at most {size_words(MOST_BYTES)}, got {size_words(found.st_size)}"
        return Fault(path, None, problem, _ELSEWHERE)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path, task: Task) -> Rows:
    """The rows of one file of the release."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Rows(faults=[Fault(path, None, f"expected a readable file, got {_reason(error)}", _ELSEWHERE)])
    return read_rows(content, path, task)


def read_rows(content: bytes, path: Path, task: Task) -> Rows:
    """Every row of a file's content, good or faulty. An example's `index` is the 0-based row in the file
    (header not counted), also behind a skipped one.
    """
    rows = Rows()
    if found := another_format(content):
        what, advice = found
        rows.faults.append(Fault(path, None, f"expected tab-separated text, got {what}", advice))
        return rows
    lines = _lines(content, path, rows)
    if not lines:
        got = "blank lines alone" if b"\n" in content else "an empty file"
        rows.faults.append(Fault(path, None, f"expected rows, got {got}", "put the release's file there"))
        return rows
    has_header = isinstance(task.label_column, str)
    if (columns := _columns(lines[0] if has_header else "", path, task, rows)) is None:
        return rows
    num_columns, (*text_columns, label_column) = columns
    label_ids = {text: label for label, text in enumerate(task.label_names)}
    first_line, broken_off, num_quoted, num_marked = 2 if has_header else 1, [], 0, 0
    with_comma: Counter[bool] = Counter()  # whether they stand between quotation marks
    widths: Counter[int] = Counter()
    labels: Counter[str] = Counter()

    for index, line in enumerate(lines[first_line - 1 :]):
        if line is None:  # not UTF-8, and a fault already
            continue
        number, cells = first_line + index, line.split("\t")
        if len(cells) != num_columns:
            widths[len(cells)] += 1
            problem = f"expected {num_columns} tab-separated columns, got {len(cells)}"
            if len(cells) == 1 and line.count(",") >= num_columns - 1:
                problem += " (separated by commas?)"
            elif "\r" in line:
                problem += " (lines that end with a carriage return alone?)"
            fault = Fault(path, number, problem, _MEND)
            is_known = "broken off" in task.damage and len(cells) < num_columns
            (broken_off if is_known else rows.faults).append(fault)
            continue
        label = label_ids.get(cells[label_column])
        if label is None:
            if cells[label_column] == "-" and "unlabelled" in task.damage:
                rows.skipped["unlabelled"] += 1
                continue
            labels[cells[label_column]] += 1
            problem = f"{_wanted_labels(task)}, got {_short(cells[label_column])}"
            rows.faults.append(Fault(path, number, problem, _MEND))
            continue
        texts = [cells[column] for column in text_columns]
        num_quoted += any(map(_is_quoted, texts))
        num_marked += any(map(_is_marked, texts))
        with_comma.update(_is_marked(text) for text in texts if "," in text)
        rows.examples.append(
            Example(index=index, text_a=texts[0], text_b=texts[1] if task.is_pair else None, label=label)
        )
    num_rows = len(lines) - first_line + 1
    if num_rows > 1 and (whole := _same_in_every_row(widths, labels, num_rows, num_columns, task)):
        whole += whose_first_line(lines[0], task)
        rows.faults = [Fault(path, None, whole, "put the release's file there")]
        return rows
    if len(broken_off) > min(MOST_BROKEN_OFF, LARGEST_DAMAGED_SHARE * num_rows):
        rows.faults = sorted([*rows.faults, *broken_off], key=lambda fault: fault.line)
    elif broken_off:
        rows.skipped["broken off"] = len(broken_off)
    rows.warnings += dict.fromkeys(_oddities(rows.examples, task))  # of both texts it is the same one
    is_excels = with_comma[True] >= FEW_QUOTED and not with_comma[False]
    if num_marked > 0.5 * len(rows.examples) or is_excels:  # one between marks is a quotation
        num_quoted = max(num_quoted, num_marked)
    if num_quoted:
        rows.warnings.append(
            f"{num_quoted:,} {'cells look' if num_quoted > 1 else 'cell looks'} quoted, as pandas and "
            "spreadsheets write them, and the quotation marks are taken as text; save the file without "
            "quoting"
        )
    if not rows.examples and not rows.faults:
        below = " below the header" if has_header else ""
        rows.faults.append(
            Fault(path, None, f"expected rows{below}, got none", "put the release's file there")
        )
    return rows


def _columns(header: str | None, path: Path, task: Task, rows: Rows) -> tuple[int, list[int]] | None:
    """(number of columns, where those of the texts and of the label are), by the file's header where the
    task's files have one. None where it cannot be read, which is a fault of `rows` then.
    """
    names = (*task.folder_columns, task.label_column)
    if not isinstance(task.label_column, str):
        return task.num_columns, list(names)
    if header is None:  # not UTF-8, and a fault already
        return None
    cells = header.split("\t")
    places = [_column(path, cells, name, rows) for name in names]
    if None in places:
        if hint := whose_header(cells, task):
            rows.faults[-1] = replace(rows.faults[-1], problem=rows.faults[-1].problem + hint)
        return None
    return len(cells), places


def _wanted_labels(task: Task) -> str:
    column = task.label_column
    where = f"column {column!r}" if isinstance(column, str) else f"column {column + 1}"
    return f"expected one of the labels {', '.join(task.label_names)} in {where}"


def _same_in_every_row(
    widths: Counter[int], labels: Counter[str], num_rows: int, num_columns: int, task: Task
) -> str:
    """What is wrong with every row of a file in the same way, which is then of another kind; else ""."""
    if len(widths) == 1 and widths.total() == num_rows:
        as_header = " as its header has" if isinstance(task.label_column, str) else ""
        return f"expected {num_columns} tab-separated columns{as_header}, got {min(widths)} in every row"
    if labels.total() == num_rows:
        some = ", ".join(_short(text) for text in sorted(labels)[:3])
        more = f" and {len(labels) - 3:,} others" if len(labels) > 3 else ""
        hint = what_labels_are(set(labels), task)
        return f"{_wanted_labels(task)}, got {some}{more} in every row{hint}"
    return ""


def _lines(content: bytes, path: Path, rows: Rows) -> list[str | None]:
    """The lines of a UTF-8 file without their ends and without blank ones at the end; None for a line that is
    not UTF-8, which is a fault.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = f"expected UTF-8, got the byte 0x{content[0]:02x} of UTF-16"
        rows.faults.append(Fault(path, 1, problem, "save the file as UTF-8"))
        return [None]
    if _is_utf16(content):
        problem = "expected UTF-8, got a zero byte in every second place, as UTF-16 has it"
        rows.faults.append(Fault(path, 1, problem, "save the file as UTF-8"))
        return [None]
    content = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\x1a")
    try:
        lines: list[str | None] = [line.rstrip("\r") for line in content.decode().split("\n")]
    except UnicodeDecodeError:
        lines = []
        for number, line in enumerate(content.split(b"\n"), start=1):
            try:
                lines.append(line.decode().rstrip("\r"))
            except UnicodeDecodeError as error:
                lines.append(None)
                problem = f"expected UTF-8, got the byte 0x{line[error.start]:02x}"
                rows.faults.append(Fault(path, number, problem, "save the file as UTF-8"))
    while lines and lines[-1] is not None and not lines[-1].strip():
        lines.pop()
    return lines


def _is_utf16(content: bytes) -> bool:
    """Whether every second byte is zero and hardly any between them, which is UTF-16 without its mark."""
    zeros = sorted(half.count(b"\0") / max(1, len(half)) for half in (content[::2], content[1::2]))
    return zeros[0] < 0.1 and zeros[1] > 0.6


def _column(path: Path, header: list[str], name: str, rows: Rows) -> int | None:
    """Where the column of that name is; None, and a fault, where there is not just one."""
    count = header.count(name)
    if count == 1:
        return header.index(name)
    got = "none" if count == 0 else str(count)
    problem = f"expected a header with one column {name!r}, got {got} among {len(header)} columns"
    is_quoted = header.count(f'"{name}"') == 1
    advice = "save the file without quoting" if is_quoted else "put the release's file there"
    rows.faults.append(Fault(path, 1, problem, advice))
    return None


def _oddities(examples: list[Example], task: Task) -> Iterator[str]:
    """What is readable and yet most likely not what was meant."""
    texts = [text for example in examples for text in (example.text_a, example.text_b) if text is not None]
    marks = sum("\ufffd" in text for text in texts)
    if marks:
        yield (
            f"{counted(marks, 'text')} with the sign \ufffd, which stands for letters lost in a "
            "wrong encoding; get the file again"
        )
    twice = sum(bool(_ENCODED_TWICE.search(text)) for text in texts)
    if twice > MOST_BLANK_SHARE * len(texts):
        yield (
            f"{twice:,} of {len(texts):,} texts have signs such as \u00c3\u00a9, which UTF-8 leaves that was "
            "read in another encoding; get the file again"
        )
    coded = sum(bool(_HTML.search(text)) for text in texts)
    if coded > MOST_BLANK_SHARE * len(texts):
        yield (
            f"{coded:,} of {len(texts):,} texts have signs such as &amp; and &quot;, as web pages write "
            "them; get the file again, or put back what they stand for"
        )
    blank = sum(not has_visible(text) for text in texts)
    if blank > MOST_BLANK_SHARE * len(texts):
        yield f"{blank:,} of {len(texts):,} texts are empty"
    for part in ("text_a", "text_b"):
        different = {getattr(example, part) for example in examples}
        few = len(examples) > FEW_ROWS and len(different) < LEAST_DIFFERENT_SHARE * len(examples)
        if few and different != {None}:
            yield (
                f"{len(examples):,} rows have {counted(len(different), 'different text')} between them; is "
                "it another column that holds the texts?"
            )
    labels = {example.label for example in examples}
    if len(labels) == 1 and len(examples) > 1:
        yield (
            f"every row has the label {task.label_names[labels.pop()]}, so there is nothing to learn from it "
            "or to score by it"
        )


def _repeated(dev: tuple[Example, ...], train: tuple[Example, ...]) -> str:
    """That many rows of a dev set are rows of the training set; "" where they are few."""
    seen = {(example.text_a, example.text_b) for example in train}
    repeated = sum((example.text_a, example.text_b) in seen for example in dev)
    if repeated <= MOST_REPEATED_SHARE * len(dev):
        return ""
    return (
        f"{repeated:,} of {len(dev):,} rows are in the training file too, so scores on them say nothing "
        "about new sentences"
    )


def _is_quoted(cell: str) -> bool:
    """Whether a cell is quoted as pandas and spreadsheets do it: marks around it, and those within doubled.

    Marks around a cell alone say nothing: the release has sentences that are quotations.
    """
    return _is_marked(cell) and '""' in cell[1:-1]


def _is_marked(cell: str) -> bool:
    """Whether a cell stands between quotation marks, with none within but doubled ones."""
    return len(cell) > 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")


def _refusal(faults: list[Fault]) -> RequestError:
    """One line with all that is wrong: of many faulty rows the first MOST_LISTED, and how many more there
    are.
    """
    first = faults[0]
    if len(faults) == 1:
        text = f"{_place(first)}: {first.problem}; {first.advice}"
        return RequestError(text, field="data_dir")
    parts, path = [], None
    for fault in faults[:MOST_LISTED]:
        is_new, path = fault.path != path, fault.path
        place = _place(fault) if is_new or fault.line is None else f"line {fault.line}"
        parts.append(f"{place}: {fault.problem}")
    if len(faults) > MOST_LISTED:
        parts.append(f"and {len(faults) - MOST_LISTED:,} more")
    num_files = len({fault.path for fault in faults})
    where = "one file" if num_files == 1 else f"{num_files} files"
    advice = {fault.advice for fault in faults}
    what_to_do = advice.pop() if len(advice) == 1 else "mend or remove these, or choose another source"
    return RequestError(
        f"{len(faults):,} faults in {where}: {'; '.join(parts)}; {what_to_do}", field="data_dir"
    )


def _place(fault: Fault) -> str:
    path = "".join(char if char.isprintable() else "?" for char in str(fault.path))
    return path if fault.line is None else f"{path}, line {fault.line}"


def _reason(error: OSError) -> str:
    return (
        "nothing"
        if isinstance(error, FileNotFoundError)
        else (error.strerror or type(error).__name__).lower()
    )


def _short(text: str) -> str:
    """A few characters of a cell: enough to find it, never a sentence."""
    return repr(text if len(text) <= 20 else text[:17] + "...")
