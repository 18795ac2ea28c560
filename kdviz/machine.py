"""What of this machine a process may use: cores and memory. A container or a cluster gives less than all."""

import contextlib
import math
import os
from collections.abc import Mapping
from pathlib import Path

from kdviz.errors import RequestError

CGROUP = Path("/sys/fs/cgroup")


def cores_allowed(environment: Mapping[str, str] = os.environ) -> int:
    """OMP_NUM_THREADS where it is set, else the cores this process may run on, at most its container's
    quota.
    """
    if asked := _threads_asked(environment):
        return asked
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not tell
        cores = os.cpu_count() or 1
    return max(1, min(cores, math.ceil(_cgroup_cores() or cores)))


def cores_beside_pages(environment: Mapping[str, str] = os.environ) -> int:
    """OMP_NUM_THREADS where it is set, else half of the cores: the pages, and often the browser that shows
    them, want the others.
    """
    return _threads_asked(environment) or max(1, cores_allowed(environment) // 2)


def _threads_asked(environment: Mapping[str, str]) -> int | None:
    """What OMP_NUM_THREADS says, where that is a number of threads."""
    asked = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isascii() and asked.isdigit() and int(asked[:9]) > 0:
        return min(int(asked[:9]), most_threads())
    return None


def most_threads() -> int:
    """The threads that a process may ask for, more than ever help: some ten thousands end torch without a
    word.
    """
    return max(256, 4 * (os.cpu_count() or 1))


def check_threads(asked: int | None, name: str) -> None:
    """RequestError where more threads are asked for than this machine can use."""
    if asked is not None and not 1 <= asked <= most_threads():
        raise RequestError(
            f"{name}: expected 1 to {most_threads()} threads (this machine has {os.cpu_count()} cores), got "
            f"{asked}"
        )


def memory_allowed() -> int | None:
    """Bytes of memory that this process may use: the machine's, at most its container's; None where nothing
    tells.
    """
    known = [_cgroup_number("memory.max"), _cgroup_number("memory/memory.limit_in_bytes")]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((number for number in known if number and number > 0), default=None)


def is_busy() -> bool:
    """Whether other programs already run on more than a quarter of the cores."""
    try:
        return os.getloadavg()[0] > 0.25 * cores_allowed()
    except (AttributeError, OSError):  # Windows has no load average
        return False


def _cgroup_cores() -> float | None:
    """The quota of processor time, in cores."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period) if quota != "max" else None
    quota, period = _cgroup_number("cpu/cpu.cfs_quota_us"), _cgroup_number("cpu/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _cgroup_number(name: str) -> int | None:
    try:
        return int((CGROUP / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
