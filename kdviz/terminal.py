"""A run's progress on a terminal: one line that moves; elsewhere plain lines, one for each phase and
epoch.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

from kdviz.progress import duration_words, phase_words
from kdviz.text import printable

if TYPE_CHECKING:
    from kdviz.models.hub import Downloads

BAR_WIDTH = 24


class Lasting:
    """A standard stream that falls silent when whoever read it has gone (`| head -1`, a closed window), or
    where there is none: what was begun goes on. What its terminal cannot show is a question mark. Where what
    it says `may_be_lost` (progress), a full disk behind it is no reason to end either.
    """

    def __init__(self, stream: TextIO | None, *, may_be_lost: bool = False):
        self._stream, self._may_be_lost = stream or io.StringIO(), may_be_lost
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        self._unless_gone(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._unless_gone(self._stream.flush)

    def _unless_gone(self, act: Callable[..., object], *given: str) -> None:
        try:
            act(*given)
        except OSError as error:
            # What is left of it would be tried once more at the very end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if not self._may_be_lost and error.errno not in (errno.EPIPE, errno.EIO):
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def fill_standard_descriptors() -> None:
    """Open what is closed of the descriptors 0, 1 and 2: the next file would get their number, and with it
    whatever a library says.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


class ProgressLine:
    """Shows status.json's content as it changes."""

    def __init__(self, stream: TextIO):
        self._stream, self._moving, self._last = stream, stream.isatty(), None
        self._dirty = False

    def show(self, status: dict) -> None:
        """Show one state; on a terminal over the line before it."""
        phase = phase_words(status)
        total, step, share = (
            status.get("total_steps") or 0,
            status.get("step") or 0,
            status.get("phase_progress"),
        )
        if status.get("phase") in ("distilling", "evaluating"):
            share = step / total if total else None
        if not self._moving:
            self._plain(phase, status, step, total)
            return
        bar = (
            ""
            if share is None
            else "▕"
            + "█" * int(share * BAR_WIDTH)
            + " " * (BAR_WIDTH - int(share * BAR_WIDTH))
            + f"▏{share:4.0%} "
        )
        left = status.get("seconds_left")
        line = (
            f"{phase} {bar}"
            + (f"step {step}/{total} " if share is not None and total else "")
            + (f"{duration_words(left)} left" if left else "")
        )
        # A line that the terminal breaks could not be written over.
        self._stream.write("\r\x1b[2K" + line[: max(10, _columns(self._stream) - 1)])
        self._stream.flush()
        self._dirty = True

    def _plain(self, phase: str, status: dict, step: int, total: int) -> None:
        key = (status.get("phase"), status.get("epoch"))
        if key != self._last:
            self._last = key
            left = status.get("seconds_left")
            print(
                f"{phase}, epoch {status.get('epoch', 0)}, step {step} of {total}"
                + (f", {duration_words(left)} left" if left else ""),
                file=self._stream,
                flush=True,
            )

    def end(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._dirty:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def all_together(statuses: Iterable[dict]) -> dict:
    """One status for several runs that are trained together: all their steps, and the run that is furthest
    behind.
    """
    statuses = list(statuses)
    last = min(statuses, key=lambda status: (status.get("epoch") or 0, status.get("step") or 0))
    left = [status["seconds_left"] for status in statuses if status.get("seconds_left") is not None]
    return last | {
        "step": sum(status.get("step") or 0 for status in statuses),
        "total_steps": sum(status.get("total_steps") or 0 for status in statuses),
        "seconds_left": max(left, default=None),
    }


def downloads() -> Downloads:
    """The leave to download of whoever typed the command, within the limits of the environment; its progress
    is shown.
    """
    from kdviz.jobs.limits import Limits
    from kdviz.models.hub import Downloads

    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        tenths = 10 * done // max(1, total)
        moving = sys.stderr.isatty()
        if moving or tenths > shown:
            shown = tenths
            text = f"downloading, {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
            end = "\n" if not moving or done >= total else ""
            print(f"\r\x1b[2K{text}" if moving else text, end=end, file=sys.stderr, flush=True)

    return Downloads(most_bytes=Limits.from_environment().download_bytes, progress=show)


def complain(text: str) -> None:
    """One line on standard error."""
    print(printable(" ".join(text.splitlines())), file=sys.stderr)
