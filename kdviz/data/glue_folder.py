"""Reading the GLUE release layout: `<data_dir>/CoLA/train.tsv` and so on.

What a file of it holds is read in `glue_file`. Everything that is not as expected is one RequestError that
lists the faulty rows of all files with their lines.
"""

import os
import stat
from functools import lru_cache
from pathlib import Path

from kdviz.data.examples import Example, Splits
from kdviz.data.glue_file import Fault, Rows, read_rows
from kdviz.data.likely import likely_folder
from kdviz.data.mistaken import (
    what_lies_beside,
)
from kdviz.errors import RequestError
from kdviz.files import Stamp, size_words, stamp_of
from kdviz.task import Task
from kdviz.tasks import task_named

MOST_LISTED = 20
"""How many faulty rows an answer names with their lines; the others it counts."""

MOST_BYTES = 1_000_000_000
"""A file is read whole, and the release's largest has 80 MB; one of another kind must not take all memory."""

MOST_REPEATED_SHARE = 0.1
"""Some rows of the release's dev sets are in its training sets too; more are said."""

_ELSEWHERE = "put the release's file there or choose another source"


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


def _stamp(path: Path) -> Stamp | Fault:
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
    return stamp_of(path)


def _read(path: Path, task: Task) -> Rows:
    """The rows of one file of the release."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Rows(faults=[Fault(path, None, f"expected a readable file, got {_reason(error)}", _ELSEWHERE)])
    return read_rows(content, path, task)


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
