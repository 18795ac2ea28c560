"""The disk that kept teacher outputs take: who fills a place, and which places go when room is needed."""

import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdviz.files import free_bytes
from kdviz.locks import exclusive, is_locked

_in_use = weakref.WeakValueDictionary[Path, object]()


@contextmanager
def filling(place: Path, tick: Callable[[float], None]) -> Iterator[None]:
    """Be the only one that fills `place`, after who does now; `tick` is called meanwhile and may raise. What
    a killed process left half-written there is removed.
    """
    while True:
        with exclusive(_lock_of(place)) as ours:
            if ours:
                _clear(place)
                yield
                return
        tick(0.0)


def now_in_use(place: Path, user: object) -> None:
    """Keep `place` while `user` lives in this process, and as the one used last after that."""
    os.utime(place)
    _in_use[place] = user


def make_room(
    teachers: Path, place: Path, *, new_bytes: int, budget_bytes: int, leave_bytes: int = 0
) -> bool:
    """Whether `new_bytes` more in `place` fit into the budget of all outputs under `teachers`, and leave
    `leave_bytes` of the disk free. The places unused for longest go, but only as many as are needed, none
    that somebody fills or uses, and none at all where that would not be enough. Half-written files that
    nobody writes go first.
    """
    places = [path for path in teachers.glob("*/outputs/*") if path.is_dir()]
    for path in places:
        if path != place and any(_half_written(path)):
            with exclusive(_lock_of(path), patience_seconds=0) as ours:
                if ours:
                    _clear(path)
    sizes = {path: _size(path) for path in places}
    excess = max(sum(sizes.values()) - budget_bytes, leave_bytes - free_bytes(teachers)) + new_bytes
    leaving = []
    for path in sorted(sizes, key=_used_last):
        if excess <= 0:
            break
        if path != place and path not in _in_use and not _is_filled(path):
            leaving.append(path)
            excess -= sizes[path]
    if excess > 0:
        return False
    removed = [_remove(path) for path in leaving]
    return all(removed)


def _half_written(place: Path) -> Iterator[Path]:
    return place.glob(".*.tmp")


def _clear(place: Path) -> None:
    """Remove half-written files; the place's lock says that nobody writes them."""
    for path in _half_written(place):
        path.unlink(missing_ok=True)


def _remove(place: Path) -> bool:
    with exclusive(_lock_of(place), patience_seconds=0) as ours:
        if ours:
            shutil.rmtree(place, ignore_errors=True)
        return ours


def _is_filled(place: Path) -> bool:
    return is_locked(_lock_of(place))


def _lock_of(place: Path) -> Path:
    """Beside the teachers, so that it stays when the place goes: who waits for it waits for the same file."""
    _, teacher, teachers = place.parents[:3]
    return teachers / ".locks" / f"{teacher.name}-{place.name}.lock"


def _used_last(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0


def _size(place: Path) -> int:
    total = 0
    for file in place.iterdir():
        try:
            total += file.stat().st_size
        except OSError:  # just renamed or removed by who fills it
            continue
    return total
