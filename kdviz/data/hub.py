"""GLUE from the Hugging Face hub: `datasets.load_dataset("nyu-mll/glue", task)`, cache first, and never a
hang.

The library runs in a child process (`hub_reader`): it can be ended when its time is up, nothing of it is
printed, and whether it may use the network is settled when it starts. Before the child may, the endpoint must
answer one request within SECONDS_TO_ANSWER.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from functools import lru_cache
from pathlib import Path

from kdviz.compat import cache_folders, hub_repository, hub_snapshot, prepared_dataset
from kdviz.data.examples import Example, Splits
from kdviz.errors import RequestError, one_line
from kdviz.task import Task
from kdviz.tasks import task_named

HUB_ID = "nyu-mll/glue"
OLD_ID = "glue"
"""Its name before datasets had owners: caches of years ago hold it under this one."""
SECONDS_TO_ANSWER = 2.5
SECONDS_TO_LOAD = 120.0

_one_at_a_time = threading.Lock()


class HubUnavailable(RequestError):
    """The hub has not got it, or cannot be reached; `reason` is the short form."""

    def __init__(self, task_name: str, reason: str, advice: str = "connect to a network, or choose"):
        super().__init__(
            f"source: expected {HUB_ID} {task_name} from the hub, got none: {reason}; {advice} folder or "
            "sample",
            field="source",
        )
        self.reason = reason


class NotInCache(HubUnavailable):
    """It is not on this machine, and no request was to be sent: it can be fetched with leave."""

    def __init__(self, task_name: str, reason: str):
        super().__init__(task_name, reason, "download it, or choose")
        self.task_name = task_name


def read_hub(task: Task, *, network: bool = True) -> Splits:
    """Train and dev examples of a task, from the cache, else over the network; HubUnavailable where neither
    has it.

    Without a network this takes a few seconds at most; with `network` False no request is sent, and it is
    NotInCache.
    """
    with _one_at_a_time:
        return _read_hub(task.name, _endpoint(), cache_folders(), network)


def cached(task: Task) -> str | None:
    """The cache folder that seems to hold the task; None where none does. No network."""
    datasets_cache, hub_cache = cache_folders()
    if any(prepared_dataset(name, task.name) for name in (HUB_ID, OLD_ID)):
        return datasets_cache
    return hub_cache if _snapshot(task.name) else None


@lru_cache(maxsize=2)
def _read_hub(task_name: str, endpoint: str, folders: tuple[str, str], network: bool) -> Splits:
    task = task_named(task_name)
    in_cache, missing = cached(task), "not in the cache"
    if in_cache:
        try:
            return _from_child(task, offline=True)
        except ValueError as error:
            missing = f"the cache {in_cache} cannot be used ({error})"
    if not network:
        raise NotInCache(task_name, missing)
    if silence := why_no_hub():
        raise HubUnavailable(task_name, f"{missing}, and {silence}")
    try:
        return _from_child(task, offline=False)
    except ValueError as error:
        raise HubUnavailable(task_name, f"{missing}, and {error}", "else choose") from None


def why_no_hub() -> str | None:
    """Why the hub may not be asked, or what came in place of an answer within SECONDS_TO_ANSWER; None where
    it answers.
    """
    if name := forbidding_variable():
        return f"{name} forbids the network"
    silence = _ask(_endpoint())
    return silence and f"{_endpoint()} {silence}"


def forbidding_variable() -> str | None:
    """The variable that forbids the network, where one does."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    return next(
        (name for name in names if os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}), None
    )


def _ask(endpoint: str) -> str | None:
    """Why the endpoint cannot be used, None where it can. Proxies are those of the environment.

    In a thread of its own, because looking up a host name knows no time limit.
    """
    problem = [f"did not answer within {SECONDS_TO_ANSWER} s"]

    def ask() -> None:
        page = f"{endpoint}/datasets/{HUB_ID}/resolve/main/README.md"
        try:
            request = urllib.request.Request(page, method="HEAD")
            with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER):
                problem[0] = None
        except urllib.error.HTTPError as error:
            problem[0] = None if error.code < 500 and error.code != 407 else f"answered {error.code}"
        except TimeoutError:
            pass
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem[0] = f"cannot be reached ({one_line(getattr(error, 'reason', error))})"

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS_TO_ANSWER)
    return problem[0]


def _from_child(task: Task, *, offline: bool) -> Splits:
    """The splits as the child process reads them; ValueError with its reason."""
    splits = ["train", *(split for _, _, split in task.dev_splits)]
    snapshot = _snapshot(task.name) if offline else None
    question = {
        "datasets": [HUB_ID, OLD_ID] if offline else [HUB_ID],
        "task": task.name,
        "snapshot": snapshot,
        "splits": splits,
        "columns": list(task.hub_columns),
    }
    try:
        child = subprocess.run(
            [sys.executable, "-m", "kdviz.data.hub_reader"],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=SECONDS_TO_LOAD,
            env=child_environment(offline),
            check=False,
        )
        answer = json.loads(child.stdout)
    except subprocess.TimeoutExpired:
        raise ValueError(f"loading did not end within {SECONDS_TO_LOAD:.0f} s") from None
    except ValueError:
        raise ValueError(f"the reader ended with status {child.returncode} and no answer") from None
    if "error" in answer:
        raise ValueError(one_line(answer["error"]))
    return Splits(
        task=task.name,
        train=_examples(task, "train", answer["splits"]["train"]),
        dev={name: _examples(task, split, answer["splits"][split]) for name, _, split in task.dev_splits},
    )


def _examples(task: Task, split: str, columns: dict) -> tuple[Example, ...]:
    """Rows of the hub as examples. A row without a label (-1, as in the test split) is an error: none is
    dropped.
    """
    texts, labels = columns["texts"], columns["labels"]
    for row, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label < task.num_labels:
            raise ValueError(
                f"{split} row {row}: a label from 0 to {task.num_labels - 1} was expected, got "
                f"{str(label)[:20]}"
            )
        if not all(isinstance(column[row], str) for column in texts):
            raise ValueError(f"{split} row {row}: a text was expected, got none")
    if not labels:
        raise ValueError(f"{split} has no rows")
    seconds = texts[1] if task.is_pair else [None] * len(labels)
    return tuple(
        Example(index=index, text_a=text_a, text_b=text_b, label=label)
        for index, (text_a, text_b, label) in enumerate(zip(texts[0], seconds, labels, strict=True))
    )


def child_environment(offline: bool) -> dict[str, str]:
    """The child's environment: quiet, without telemetry, and finding this very kdviz."""
    package_root = str(Path(__file__).parents[2])
    python_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    settings = {
        "PYTHONPATH": python_path,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    return {
        **os.environ,
        **settings,
        **({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"} if offline else {}),
    }


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _snapshot(task_name: str) -> str | None:
    """The downloaded repository in the hub's cache, where it holds files of the task."""
    for name in (HUB_ID, OLD_ID):
        with contextlib.suppress(OSError, ValueError):
            snapshot = hub_snapshot(hub_repository("datasets", name), "main")
            if any((snapshot / task_name).glob("*.parquet")):
                return str(snapshot)
    return None
