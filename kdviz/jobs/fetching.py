"""Models and examples that a page asked for are brought to this machine in a thread of their own: one at a
time of each name, seen by every viewer, stopped by whoever may start runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from kdviz.errors import RequestError, Stopped
from kdviz.jobs.process_wide import process_wide
from kdviz.models.hub import Downloads
from kdviz.tasks import TASKS

_guard = threading.Lock()


@dataclass
class Fetch:
    """Something on its way: bytes so far and in all (0 until they are known), and how it ended."""

    name: str
    done: int = 0
    total: int = 0
    is_over: bool = False
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0


def begin_fetch(name: str, *, most_bytes: int) -> Fetch:
    """Start bringing the model called `name` here, where nobody does already. The caller has asked for
    permission.
    """
    return _begin(name, lambda fetch: _bring_model(fetch, most_bytes))


def begin_examples(task_name: str) -> Fetch:
    """The same for the hub's examples of a task; see `name_of_examples`."""
    return _begin(name_of_examples(task_name), lambda fetch: _bring_examples(task_name))


def name_of_examples(task_name: str) -> str:
    """What the fetch of a task's examples is called."""
    return f"GLUE's {TASKS[task_name].title}"


def fetch_of(name: str) -> Fetch | None:
    """The newest attempt to bring what has that name here."""
    return _all().get(name)


def _begin(name: str, bring: Callable[[Fetch], None]) -> Fetch:
    with _guard:
        known = _all().get(name)
        if known and not known.is_over:
            return known
        fetch = _all()[name] = Fetch(name)
    threading.Thread(target=_fetch, args=(fetch, bring), name="kdviz-fetch", daemon=True).start()
    return fetch


def _fetch(fetch: Fetch, bring: Callable[[Fetch], None]) -> None:
    try:
        bring(fetch)
    except Stopped:
        fetch.error = "it was stopped; what was downloaded is kept and continued the next time"
    except (RequestError, OSError) as error:
        fetch.error = str(error)
    finally:
        fetch.is_over = True


def _bring_model(fetch: Fetch, most_bytes: int) -> None:
    from kdviz.models.checkpoint import resolve

    def progress(done: int, total: int) -> None:
        fetch.done, fetch.total = done, total

    def check_stop() -> None:
        if fetch.stop.is_set():
            raise Stopped

    downloads = Downloads(most_bytes=most_bytes, progress=progress, check_stop=check_stop)
    resolve(fetch.name, downloads=downloads)


def _bring_examples(task_name: str) -> None:
    from kdviz.data.hub import read_hub

    read_hub(TASKS[task_name])


def _all() -> dict[str, Fetch]:
    return process_wide("fetching", dict)
