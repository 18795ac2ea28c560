"""The hub source: over a loopback server that speaks the hub's protocol, from its caches, and without a
network.
"""

import re
import shutil
import socket
import threading
import time

import pytest
from hub_server import hub_server

from kdviz.data import available, hub, load_examples
from kdviz.errors import RequestError
from kdviz.tasks import TASKS


@pytest.fixture(autouse=True)
def own_caches(monkeypatch, tmp_path):
    """Every test starts without caches, memory and proxies of its machine, and finds no endpoint unless it
    sets one.
    """
    for name in (
        "HF_DATASETS_CACHE",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "KDVIZ_GLUE_DIR",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    forget()


def forget() -> None:
    """As a new process would begin."""
    hub._read_hub.cache_clear()


def tables(task_name: str, **changes: list) -> dict:
    """A task as the hub holds it, small, with a test split that has no labels."""
    task = TASKS[task_name]
    found = {}
    for split, num_rows in {"train": 6, **{split: 4 for _, _, split in task.dev_splits}, "test": 3}.items():
        found[split] = {
            column: [f"{split} {column} {row}" for row in range(num_rows)] for column in task.hub_columns
        }
        found[split] |= {
            "label": [-1 if split == "test" else row % task.num_labels for row in range(num_rows)],
            "idx": list(range(num_rows)),
        }
    found["train"] |= changes
    return {task_name: found}


@pytest.mark.slow
@pytest.mark.parametrize("task_name", ["cola", "mnli"])
def test_a_task_loads_over_the_network_and_then_from_the_cache(monkeypatch, capfd, tmp_path, task_name):
    """A swapped column, a test row with label -1, or MNLI's dev sets mixed up would train on without an
    error.
    """
    task = TASKS[task_name]
    with hub_server(tables(task_name)) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        loaded = load_examples(task_name, "hub")
        assert any("parquet" in request for request in requests)
        num_requests = len(requests)
        assert load_examples(task_name, "hub").train is loaded.train and len(requests) == num_requests
    assert (loaded.source, loaded.origin) == ("hub", "nyu-mll/glue")
    assert [example.index for example in loaded.train] == list(range(6))
    assert list(loaded.dev) == [name for name, _, _ in task.dev_splits]
    for name, _, split in task.dev_splits:
        example = loaded.dev[name][2]
        assert example.text_a == f"{split} {task.hub_columns[0]} 2" and example.label == 2 % task.num_labels
        assert example.text_b == (f"{split} {task.hub_columns[1]} 2" if task.is_pair else None)
    assert all(
        0 <= example.label < task.num_labels
        for examples in (loaded.train, *loaded.dev.values())
        for example in examples
    )

    forget()  # the server is gone: what follows is the cache alone
    assert available(task_name)["hub"].endswith(str(tmp_path / "hf" / "datasets"))
    assert (
        load_examples(task_name).fingerprint == loaded.fingerprint
        and load_examples(task_name).source == "hub"
    )
    shutil.rmtree(tmp_path / "hf" / "datasets")
    forget()
    assert available(task_name)["hub"].endswith(str(tmp_path / "hf" / "hub"))
    assert load_examples(task_name, "hub").fingerprint == loaded.fingerprint
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("is_read_only", [False, True])
def test_the_data_set_is_found_under_the_name_it_had_before_owners(tmp_path, monkeypatch, is_read_only):
    """Downloaded years ago it lies under `glue`; not found, it would silently be the sample data, as where
    a group's cache is mounted so that nothing can be written beside it.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    repository = tmp_path / "hf" / "hub" / "datasets--glue"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("b" * 40)
    for split, columns in tables("cola")["cola"].items():
        path = repository / "snapshots" / ("b" * 40) / "cola" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table(columns), path)
    if is_read_only:
        (tmp_path / "no folder").touch()
        monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "no folder" / "datasets"))
    loaded = load_examples("cola")
    assert (loaded.source, len(loaded.train)) == ("hub", 6)


@pytest.mark.slow
def test_a_damaged_cache_and_missing_labels_are_one_line(monkeypatch, tmp_path):
    """Half a cache after a full disk must not end in a traceback; an unlabelled row must not become class
    -1.
    """
    broken = tmp_path / "hf" / "datasets" / "nyu-mll___glue" / "cola" / "0.0.0" / ("b" * 40)
    broken.mkdir(parents=True)
    (broken / "dataset_info.json").write_text("{}")
    with pytest.raises(RequestError, match="hf/datasets cannot be used .*cannot be reached") as caught:
        load_examples("cola", "hub")
    assert "\n" not in str(caught.value) and caught.value.field == "source"
    shutil.rmtree(tmp_path / "hf")
    forget()
    with hub_server(tables("cola", label=[0, 1, -1, 0, 1, 0])) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(RequestError, match="train row 2: a label from 0 to 1 was expected, got -1"):
            load_examples("cola", "hub")


def seconds_to_give_up(source: str = "hub", match: str = "") -> float:
    start = time.monotonic()
    if source == "hub":
        with pytest.raises(RequestError, match=match) as caught:
            load_examples("cola", "hub")
        assert caught.value.field == "source" and "\n" not in str(caught.value)
    else:
        loaded = load_examples("cola")
        assert loaded.source == "sample" and match in loaded.note
    return time.monotonic() - start


def test_without_a_network_it_gives_up_at_once(capfd):
    """A seminar room without internet is the normal case: waiting for the library's own retries takes
    minutes.
    """
    assert (
        seconds_to_give_up(
            match="not in the cache, and http://127.0.0.1:9 cannot be reached .*connect to a network, or "
            "choose folder or sample"
        )
        < 3
    )
    assert seconds_to_give_up("auto", match="hub: not in the cache") < 3
    assert capfd.readouterr() == ("", "")


def test_a_name_that_does_not_resolve(monkeypatch):
    """Looking up a name has no time limit of its own; behind a dead resolver it lasts half a minute."""
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    assert seconds_to_give_up(match="http://hub.invalid (cannot be reached|did not answer)") < 3.5
    found = threading.Event()

    def dead_resolver(*args, **kwargs):
        found.wait()
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", dead_resolver)
    assert seconds_to_give_up(match="http://hub.invalid did not answer within 2.5 s") < 3.5
    found.set()


def test_a_server_that_speaks_something_else(monkeypatch, capfd):
    """The port may be another program's: its greeting must end in one line, not in a traceback on the
    terminal.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"220 mail ready\r\n")
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert seconds_to_give_up(match="cannot be reached .*220 mail ready") < 3
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_is_left_alone(monkeypatch):
    """A captive portal accepts and says nothing; auto must not even ask it, a first look at the app sends
    nothing anywhere.
    """
    with hub_server({}, silent_after=0) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert seconds_to_give_up(match="did not answer within 2.5 s") < 4
        assert seconds_to_give_up("auto", match="auto sends no request") < 1
        assert len(requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("silent_after", [1, 10])
def test_a_server_that_falls_silent_is_given_up(monkeypatch, silent_after):
    """The first answer proves nothing about the next; the library's own patience with a dead link adds up to
    minutes.
    """
    with hub_server(tables("cola"), silent_after=silent_after) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert seconds_to_give_up(match="127.0.0.1 stopped answering") < 60
        assert silent_after < len(requests) <= silent_after + 2


def test_the_reader_is_ended_when_its_time_is_up(monkeypatch):
    """An answer of one byte every few seconds looks alive to every other limit."""
    monkeypatch.setattr(hub, "SECONDS_TO_LOAD", 0.3)
    with hub_server(tables("cola")) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert seconds_to_give_up(match="loading did not end within 0 s") < 3


@pytest.mark.parametrize("status", [407, 500, 503])
def test_a_server_in_trouble_is_named(monkeypatch, status):
    """Its status tells the user whether a proxy or the hub is to blame."""
    with hub_server({}, status=status) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert seconds_to_give_up(match=f"answered {status}") < 3


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (429, b"", "takes no more requests from here .*; try again later; else choose folder or sample"),
        (200, b"<html>Log in", "no hub .a login page of this network.*; else choose folder or sample"),
    ],
)
def test_what_a_hub_answers_is_told_with_what_helps(monkeypatch, status, body, said):
    """ "Connect to a network" sends people to a cable that is plugged in."""
    with hub_server(tables("cola"), instead={"/api/datasets": (status, body, {})}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert seconds_to_give_up(match=said) < 60


def test_offline_mode_is_respected(monkeypatch):
    """Whoever sets it wants no request sent, not even one to see whether there is a network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with hub_server(tables("cola")) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert hub.why_no_hub() == "HF_HUB_OFFLINE forbids the network"
        assert seconds_to_give_up(match="HF_HUB_OFFLINE forbids the network") < 1
        assert requests == []


def test_whether_the_hub_can_be_reached(monkeypatch):
    """The models ask this before they let the hub's library try for a minute."""
    assert re.match(r"http\S+ cannot be reached", hub.why_no_hub())
    with hub_server({}) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint + "/")
        assert hub.why_no_hub() is None
        assert requests == ["HEAD /datasets/nyu-mll/glue/resolve/main/README.md"]
