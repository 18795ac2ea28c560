"""Reading the GLUE release layout: `<data_dir>/CoLA/train.tsv` and so on.

The release's files are tab-separated without quoting: a quotation mark is part of the text, a line ends at
"\\n" and nowhere else (texts hold U+2028 and U+0085). A byte-order mark and CRLF line ends are tolerated.
Everything else that is not as expected is a RequestError with file and line; no row is dropped.
"""

import os
import stat
from functools import lru_cache
from pathlib import Path

from kdviz.data.examples import Example, Splits
from kdviz.errors import RequestError
from kdviz.tasks import Task, task_named

_ELSEWHERE = "put the release's file there or choose another source"


def task_files(task: Task, data_dir: str | os.PathLike) -> dict[str, Path]:
    """The files of a task by split: "train", then the dev sets."""
    folder = Path(data_dir) / task.folder
    return {"train": folder / "train.tsv"} | {name: folder / file for name, file, _ in task.dev_splits}


def read_folder(task: Task, data_dir: str | os.PathLike) -> Splits:
    """Train and dev examples of a task. RequestError naming the file, and the line where there is one.

    Files that did not change since are not parsed again.
    """
    folder = Path(data_dir) / task.folder
    for path, hint in (
        (Path(data_dir), "give a folder in the GLUE release layout"),
        (folder, f"give the folder that holds {task.folder}/"),
    ):
        if not os.path.isdir(path):
            raise _bad(
                path,
                None,
                f"expected a folder, got {'a file' if os.path.exists(path) else 'nothing'}; {hint}",
            )
    stamps = tuple(_stamp(path) for path in task_files(task, data_dir).values())
    return _read_folder(task.name, os.path.abspath(data_dir), stamps)


@lru_cache(maxsize=3)
def _read_folder(task_name: str, data_dir: str, stamps: tuple) -> Splits:
    task = task_named(task_name)
    read = {name: read_tsv(path, task) for name, path in task_files(task, data_dir).items()}
    return Splits(task=task_name, train=read.pop("train"), dev=read)


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file does. RequestError unless it is an ordinary file: reading a pipe would never
    end.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise _bad(path, None, f"expected a file, got {_reason(error)}; {_ELSEWHERE}") from None
    if not stat.S_ISREG(found.st_mode):
        raise _bad(path, None, f"expected a file, got something else; {_ELSEWHERE}")
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_tsv(path: Path, task: Task) -> tuple[Example, ...]:
    """The examples of one file of the release."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _bad(path, None, f"expected a readable file, got {_reason(error)}; {_ELSEWHERE}") from None
    return parse_tsv(content, path, task)


def parse_tsv(content: bytes, path: Path, task: Task) -> tuple[Example, ...]:
    """The examples in a file's content, `index` being the 0-based row (header not counted). `path` is for
    messages.
    """
    lines = _lines(content, path)
    has_header = isinstance(task.label_column, str)
    if has_header:
        header = lines[0].split("\t")
        num_columns = len(header)
        text_columns = [_column(path, header, name) for name in task.folder_columns]
        label_column = _column(path, header, task.label_column)
    else:
        num_columns, text_columns, label_column = task.num_columns, task.folder_columns, task.label_column
    label_ids = {text: label for label, text in enumerate(task.label_names)}

    examples = []
    first_line = 2 if has_header else 1
    for index, line in enumerate(lines[first_line - 1 :]):
        cells = line.split("\t")
        if len(cells) != num_columns:
            raise _bad(
                path,
                first_line + index,
                f"expected {num_columns} tab-separated columns, got {len(cells)}; mend or remove the line",
            )
        label = label_ids.get(cells[label_column])
        if label is None:
            where = f"column {task.label_column!r}" if has_header else f"column {label_column + 1}"
            raise _bad(
                path,
                first_line + index,
                f"expected one of the labels {', '.join(task.label_names)} in {where}, got "
                f"{_short(cells[label_column])}; mend or remove the line",
            )
        texts = [cells[column] for column in text_columns]
        examples.append(
            Example(index=index, text_a=texts[0], text_b=texts[1] if task.is_pair else None, label=label)
        )
    if not examples:
        raise _bad(path, None, "expected rows below the header, got none; put the release's file there")
    return tuple(examples)


def _lines(content: bytes, path: Path) -> list[str]:
    """The lines of a UTF-8 file, at least one, without their ends."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, _start(content, error)) + 1
        raise _bad(
            path,
            number,
            f"expected UTF-8, got the byte 0x{error.object[error.start]:02x}; save the file as UTF-8",
        ) from None
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise _bad(path, None, "expected rows, got an empty file; put the release's file there")
    return [line.removesuffix("\r") for line in lines]


def _start(content: bytes, error: UnicodeDecodeError) -> int:
    """Where in `content` the bad byte is: the decoder counts from behind the byte-order mark."""
    return error.start + len(content) - len(error.object)


def _column(path: Path, header: list[str], name: str) -> int:
    count = header.count(name)
    if count != 1:
        got = "none" if count == 0 else str(count)
        raise _bad(
            path,
            1,
            f"expected a header with one column {name!r}, got {got} among {len(header)} columns; put the "
            "release's file there",
        )
    return header.index(name)


def _bad(path: Path, line: int | None, problem: str) -> RequestError:
    place = str(path) if line is None else f"{path}, line {line}"
    return RequestError(f"{_one_line(place)}: {problem}", field="data_dir")


def _reason(error: OSError) -> str:
    return (
        "nothing"
        if isinstance(error, FileNotFoundError)
        else (error.strerror or type(error).__name__).lower()
    )


def _short(text: str) -> str:
    """A few characters of a cell: enough to find it, never a sentence."""
    return repr(text if len(text) <= 20 else text[:17] + "...")


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
