"""metrics.jsonl as it grows: every line read once, checked, and parsed only when its kind is asked for."""

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from kdviz.files import MEBIBYTE, open_regular
from kdviz.runs.bounded import parse_json

LARGEST_FILE_BYTES, LONGEST_LINE_BYTES = 256 * MEBIBYTE, 4 * MEBIBYTE
_KIND = re.compile(rb'\{"kind": ?"(\w{1,40})"')


class Lines:
    """An append-only JSON-lines file, read once; read anew when it was replaced (resume does that).

    A line is parsed when its kind is first asked for: a table of a thousand runs needs their few eval lines
    alone. `check` makes a record of a line, or raises ValueError: such a line is left out and counted.
    """

    def __init__(self, path: Path, check: Callable[[dict, list[str]], dict]):
        self._path, self._check, self._lock = path, check, threading.Lock()
        self._inode: int | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._offset, self._number = 0, 0
        self._by_kind: dict[str, list[dict]] = {}
        self._unparsed: dict[str | None, list[tuple[int, bytes]]] = {}
        self._faults: list[str] = []

    def of(self, kind: str) -> list[dict]:
        """The lines of one kind so far, in file order."""
        with self._lock:
            self._read_more()
            for number, line in (*self._unparsed.pop(kind, ()), *self._unparsed.pop(None, ())):
                self._parse(number, line)
            return list(self._by_kind.get(kind, ()))

    def fault(self) -> str | None:
        """Why not everything that was asked for could be used; None where it could."""
        with self._lock:
            if not self._faults:
                return None
            first, more = self._faults[0], len(self._faults) - 1
            return f"{first} (and {more:,} more)" if more else first

    def _parse(self, number: int, line: bytes) -> None:
        if not line.strip():
            return
        dropped: list[str] = []
        try:
            record = self._check(parse_json(line), dropped)
            self._by_kind.setdefault(record["kind"], []).append(record)
        except ValueError as error:  # a damaged line costs that line, not the run
            dropped = [str(error)]
        self._faults += [f"line {number}: {problem}" for problem in dropped]

    def _read_more(self) -> None:
        try:
            stat = os.stat(self._path)
            if stat.st_ino == self._inode and stat.st_size == self._offset:
                return  # most questions: asking costs less than opening
            with open_regular(self._path) as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    self._begin_anew()
                    self._inode = stat.st_ino
                if stat.st_size == self._offset or self._offset >= LARGEST_FILE_BYTES:
                    return
                file.seek(self._offset)
                content = file.read(LARGEST_FILE_BYTES - self._offset)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._faults = [getattr(error, "strerror", None) or str(error)]
            return
        if self._offset + len(content) >= LARGEST_FILE_BYTES:
            self._faults.append(f"only its first {LARGEST_FILE_BYTES // MEBIBYTE} MiB were read")
        whole, newline, _ = content.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.split(b"\n") if newline else ():
            self._number += 1
            if len(line) > LONGEST_LINE_BYTES:
                self._faults.append(
                    f"line {self._number}: at most {LONGEST_LINE_BYTES // MEBIBYTE} MiB were expected"
                )
                continue
            kind = _KIND.match(line)
            self._unparsed.setdefault(kind[1].decode() if kind else None, []).append((self._number, line))
