"""The rows of one file of the GLUE release: examples, damage that the release is known for, faults.

The release's files are tab-separated without quoting: a quotation mark is part of the text, a line ends at
"\n" and nowhere else (texts hold U+2028 and U+0085). A byte-order mark, carriage returns before a line's
end and blank lines at the end are tolerated. Rows with the release's own known damage (`Task.damage`) are
skipped and counted; whatever else is not as expected is a fault with its line.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kdviz.data.examples import Example
from kdviz.data.mistaken import another_format, what_labels_are, whose_first_line, whose_header
from kdviz.task import Task
from kdviz.text import counted
from kdviz.visible import has_visible

MOST_BROKEN_OFF, LARGEST_DAMAGED_SHARE = 50, 0.25
"""The release's damage is a handful of rows; a file with more is damaged in another way, and refused."""

MOST_BLANK_SHARE = 0.01
"""A few empty or garbled texts are in the release; more are said."""

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
_AS_UTF8 = "save the file as UTF-8"
_REPLACE = "put the release's file there"


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
        rows.faults.append(Fault(path, None, f"expected rows, got {got}", _REPLACE))
        return rows
    has_header = isinstance(task.label_column, str)
    if (columns := _columns(lines[0] if has_header else "", path, task, rows)) is None:
        return rows
    reader = _RowReader(path, task, columns, rows, first_line=2 if has_header else 1)
    for index, line in enumerate(lines[1:] if has_header else lines):
        if line is not None:  # else not UTF-8, and a fault already
            reader.read(index, line)
    reader.judge_whole(lines)
    return rows


class _RowReader:
    """Reads rows one by one into `rows`, and counts what says something of the file as a whole."""

    def __init__(
        self, path: Path, task: Task, columns: tuple[int, list[int]], rows: Rows, *, first_line: int
    ):
        self._path, self._task, self._rows, self._first_line = path, task, rows, first_line
        self._num_columns, (*self._text_columns, self._label_column) = columns
        self._label_ids = {text: label for label, text in enumerate(task.label_names)}
        self._broken_off: list[Fault] = []
        self._widths: Counter[int] = Counter()  # of rows with another number of columns
        self._labels: Counter[str] = Counter()  # that are none of the task's
        self._num_quoted = self._num_marked = 0
        self._with_comma: Counter[bool] = Counter()  # whether they stand between quotation marks

    def read(self, index: int, line: str) -> None:
        """One row: an example, damage that the release is known for, or a fault."""
        task, rows, number, cells = self._task, self._rows, self._first_line + index, line.split("\t")
        if len(cells) != self._num_columns:
            self._widths[len(cells)] += 1
            fault = Fault(self._path, number, self._other_width(line, len(cells)), _MEND)
            is_known = "broken off" in task.damage and len(cells) < self._num_columns
            (self._broken_off if is_known else rows.faults).append(fault)
            return
        said = cells[self._label_column]
        if (label := self._label_ids.get(said)) is None:
            if said == "-" and "unlabelled" in task.damage:
                rows.skipped["unlabelled"] += 1
                return
            self._labels[said] += 1
            problem = f"{_wanted_labels(task)}, got {_short(said)}"
            rows.faults.append(Fault(self._path, number, problem, _MEND))
            return
        texts = [cells[column] for column in self._text_columns]
        self._num_quoted += any(map(_is_quoted, texts))
        self._num_marked += any(map(_is_marked, texts))
        self._with_comma.update(_is_marked(text) for text in texts if "," in text)
        rows.examples.append(
            Example(index=index, text_a=texts[0], text_b=texts[1] if task.is_pair else None, label=label)
        )

    def judge_whole(self, lines: list[str | None]) -> None:
        """What all rows together say: that every one is at fault in the same way, how many were broken off,
        and what is readable and yet most likely not what was meant.
        """
        rows, task, num_rows = self._rows, self._task, len(lines) - self._first_line + 1
        if num_rows > 1 and (whole := self._same_in_every_row(num_rows)):
            rows.faults = [Fault(self._path, None, whole + whose_first_line(lines[0], task), _REPLACE)]
            return
        if len(self._broken_off) > min(MOST_BROKEN_OFF, LARGEST_DAMAGED_SHARE * num_rows):
            rows.faults = sorted([*rows.faults, *self._broken_off], key=lambda fault: fault.line)
        elif self._broken_off:
            rows.skipped["broken off"] = len(self._broken_off)
        rows.warnings += dict.fromkeys(_oddities(rows.examples, task))  # of both texts it is the same one
        rows.warnings += self._quoting()
        if not rows.examples and not rows.faults:
            below = " below the header" if isinstance(task.label_column, str) else ""
            rows.faults.append(Fault(self._path, None, f"expected rows{below}, got none", _REPLACE))

    def _other_width(self, line: str, width: int) -> str:
        problem = f"expected {self._num_columns} tab-separated columns, got {width}"
        if width == 1 and line.count(",") >= self._num_columns - 1:
            return problem + " (separated by commas?)"
        return problem + " (lines that end with a carriage return alone?)" * ("\r" in line)

    def _same_in_every_row(self, num_rows: int) -> str:
        """What is wrong with every row of a file in the same way, which is then of another kind; else ""."""
        widths, labels, task = self._widths, self._labels, self._task
        if len(widths) == 1 and widths.total() == num_rows:
            as_header = " as its header has" if isinstance(task.label_column, str) else ""
            wanted = f"expected {self._num_columns} tab-separated columns{as_header}"
            return f"{wanted}, got {min(widths)} in every row"
        if labels.total() == num_rows:
            some = ", ".join(_short(text) for text in sorted(labels)[:3])
            more = f" and {len(labels) - 3:,} others" if len(labels) > 3 else ""
            return (
                f"{_wanted_labels(task)}, got {some}{more} in every row{what_labels_are(set(labels), task)}"
            )
        return ""

    def _quoting(self) -> Iterator[str]:
        is_excels = self._with_comma[True] >= FEW_QUOTED and not self._with_comma[False]
        num_quoted = self._num_quoted
        if self._num_marked > 0.5 * len(self._rows.examples) or is_excels:  # one between marks is a quotation
            num_quoted = max(num_quoted, self._num_marked)
        if num_quoted:
            yield (
                f"{num_quoted:,} {'cells look' if num_quoted > 1 else 'cell looks'} quoted, as pandas and "
                "spreadsheets write them, and the quotation marks are taken as text; save the file without "
                "quoting"
            )


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


def _lines(content: bytes, path: Path, rows: Rows) -> list[str | None]:
    """The lines of a UTF-8 file without their ends and without blank ones at the end; None for a line that is
    not UTF-8, which is a fault.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = f"expected UTF-8, got the byte 0x{content[0]:02x} of UTF-16"
        rows.faults.append(Fault(path, 1, problem, _AS_UTF8))
        return [None]
    if _is_utf16(content):
        problem = "expected UTF-8, got a zero byte in every second place, as UTF-16 has it"
        rows.faults.append(Fault(path, 1, problem, _AS_UTF8))
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
                rows.faults.append(Fault(path, number, problem, _AS_UTF8))
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
    advice = "save the file without quoting" if is_quoted else _REPLACE
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


def _is_quoted(cell: str) -> bool:
    """Whether a cell is quoted as pandas and spreadsheets do it: marks around it, and those within doubled.

    Marks around a cell alone say nothing: the release has sentences that are quotations.
    """
    return _is_marked(cell) and '""' in cell[1:-1]


def _is_marked(cell: str) -> bool:
    """Whether a cell stands between quotation marks, with none within but doubled ones."""
    return len(cell) > 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")


def _short(text: str) -> str:
    """A few characters of a cell: enough to find it, never a sentence."""
    return repr(text if len(text) <= 20 else text[:17] + "...")
