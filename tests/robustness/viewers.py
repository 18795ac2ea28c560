"""Viewers of a live run, and some who click: real WebSocket clients of the real server on this machine,
speaking Streamlit's protocol.

    python tests/robustness/viewers.py --viewers 30 --seconds 180
    python tests/robustness/viewers.py --viewers 200 --clickers 50 --click-every 5 --teacher minilm-l6
    python tests/robustness/viewers.py --viewers 200 --clickers 50 --shown-by 2     # servers that only show

Each viewer opens the Distil page as a browser would and sends the reruns that the page's fragments ask for,
at their pace. Of them, `--clickers` look at the maps of the stored demo instead and choose another layer,
head or sentence every `--click-every` seconds. Measured: how long until every page stood, all opened at once,
and for `--seconds` from then on how long refreshes and clicks took, the server's memory before, during and
after, its processor time, and how much slower the run went with viewers than without (alone before and after
them, since a machine's pace drifts). The run trains in the server's own queue, started over the same protocol
by a client that presses Start; its teacher is a tiny one made here, or `--teacher`. With `--shown-by N` the
viewers are spread over N more servers over the same runs folder, which may only show (KDVIZ_READ_ONLY=1), and
with `--everywhere` over the one that trains too. Prints one JSON line; exit status 1 where a page showed an
exception.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
ROOT = Path(__file__).parents[2]

from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from tiny import make_teacher  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

from kdviz.runs.reader import DEMO_RUNS  # noqa: E402
from kdviz.runs.store import Store  # noqa: E402

OPEN = object()
"""What an expander is told that is to be opened."""


class Viewer:
    """One browser tab: opens a page, answers what its fragments ask for, notes how long each rerun took."""

    def __init__(self, port: int, page: str):
        self.port, self._page = port, page
        self._url = f"ws://127.0.0.1:{port}/_stcore/stream"
        self.ready_seconds: float | None = None
        self.reruns: list[tuple[float, float]] = []
        """(when it was asked for on this machine's clock, seconds until it was whole)"""
        self.exceptions = 0
        self.received_bytes = 0
        self.elements: dict[str, str] = {}
        self._fragments: dict[str, float] = {}
        self._hash = ""
        self._kept: dict[str, ForwardMsg] = {}

    async def watch(self, end: asyncio.Event) -> None:
        """Open the page and stay until the end."""
        begin = time.monotonic()
        async with connect(self._url, subprotocols=["streamlit"], max_size=None) as self._socket:
            await self._rerun()
            self.ready_seconds = time.monotonic() - begin
            while not end.is_set():
                name, interval = next(iter(self._fragments.items()), ("", 0.2))
                await wait(end, interval)
                if name and not end.is_set():
                    await self._rerun_timed(fragment=name)

    async def click(
        self, end: asyncio.Event, every_seconds: float, links: list[str], wait_seconds: float
    ) -> None:
        """Open the page, and go to another of `links` (query strings) every so often until the end."""
        await asyncio.sleep(wait_seconds)
        begin = time.monotonic()
        async with connect(self._url, subprotocols=["streamlit"], max_size=None) as self._socket:
            await self._rerun(query=links[0])
            self.ready_seconds = time.monotonic() - begin
            number = 0
            while not end.is_set():
                await wait(end, every_seconds)
                number += 1
                await self._rerun_timed(query=links[number % len(links)])

    async def press(self, label: str, settings: dict) -> None:
        """Open the page with these settings and press the button of that label."""
        async with connect(self._url, subprotocols=["streamlit"], max_size=None) as self._socket:
            await self._rerun()
            states = [(self._named("distil.more"), OPEN)]
            await self._rerun(states=states)
            for key, value in settings.items():
                states.append((self._named(key), value))
            await self._rerun(states=states)
            button = next(name for name, shown in self.elements.items() if shown == label)
            await self._rerun(states=[*states, (button, True)])

    async def _rerun_timed(self, **asked: str) -> None:
        begin = time.monotonic()
        await self._rerun(**asked)
        self.reruns.append((begin, time.monotonic() - begin))

    def _named(self, key: str) -> str:
        return next(name for name in self.elements if name.endswith(f"-{key}"))

    async def _rerun(self, fragment: str = "", states: list = (), query: str = "") -> None:
        message = BackMsg()
        asked = message.rerun_script
        asked.page_name, asked.fragment_id, asked.is_auto_rerun = self._page, fragment, bool(fragment)
        asked.page_script_hash, asked.query_string = self._hash, query
        asked.cached_message_hashes.extend(self._kept)
        for widget, value in states:
            state = asked.widget_states.widgets.add(id=widget)
            if value is OPEN:
                state.bool_value = True
            elif isinstance(value, bool):
                state.trigger_value = value
            elif isinstance(value, str):
                state.string_value = value
            else:
                state.double_value = float(value)
        await self._socket.send(message.SerializeToString())
        while True:
            data = await asyncio.wait_for(self._socket.recv(), 120)
            self.received_bytes += len(data)
            ended = self._take(self._whole(data))
            if ended == ForwardMsg.FINISHED_SUCCESSFULLY or (
                fragment and ended == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
            ):
                return

    def _whole(self, data: bytes) -> ForwardMsg:
        """The message. What a browser keeps is kept, and comes as its hash from then on."""
        answer = ForwardMsg()
        answer.ParseFromString(data)
        if answer.WhichOneof("type") == "ref_hash":
            return self._kept[answer.ref_hash]
        if answer.metadata.cacheable:
            self._kept[answer.hash] = answer
        return answer

    def _take(self, answer: ForwardMsg) -> int | None:
        kind = answer.WhichOneof("type")
        if kind == "navigation":
            self._hash = answer.navigation.page_script_hash
        elif kind == "auto_rerun":
            self._fragments[answer.auto_rerun.fragment_id] = answer.auto_rerun.interval
        elif kind == "delta" and answer.delta.WhichOneof("type") == "add_block":
            if name := answer.delta.add_block.expandable.id:
                self.elements[name] = answer.delta.add_block.expandable.label
        elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
            element = answer.delta.new_element
            shown = element.WhichOneof("type")
            self.exceptions += shown == "exception"
            inner = getattr(element, shown) if shown else None
            if hasattr(inner, "id") and inner.id:
                self.elements[inner.id] = getattr(inner, "label", "")
        elif kind == "script_finished":
            if answer.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self._fragments.clear()
            return answer.script_finished
        return None


class Server:
    """The app on a free port, with its memory as the kernel counts it."""

    def __init__(self, runs_dir: Path, **settings: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KDVIZ_")} | {
            "KDVIZ_RUNS_DIR": str(runs_dir),
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.headless",
            "true",
            "--server.port",
            str(self.port),
        ]
        self.log = open(runs_dir.parent / "server.log", "a")  # noqa: SIM115
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.log, stderr=self.log)
        for _ in range(480):
            try:
                if (
                    urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stcore/health", timeout=1).status
                    == 200
                ):
                    return
            except OSError:
                time.sleep(0.25)
        raise SystemExit("the server was not healthy within 120 s")

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the server so far, all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()


def steps_per_second(run, seconds: float) -> float:
    """The run's pace over that many seconds from now."""
    first, begin = run.status.get("step") or 0, time.monotonic()
    time.sleep(seconds)
    return ((run.status.get("step") or 0) - first) / (time.monotonic() - begin)


async def measure(
    server: Server, shown_by: list[Server], runs_dir: Path, asked: argparse.Namespace, teacher: str
) -> dict:
    """The figures. `server` trains; `shown_by` serve the viewers. `server` does too where that is asked for,
    or there are no others.
    """
    settings = {
        "distil.teacher": teacher,
        "distil.source": "sample data, not GLUE",
        "distil.epochs": 1000,
        "distil.train_size": 512,
        "distil.eval_size": 64,
        "distil.teacher_epochs": 1,
    }
    await Viewer(server.port, "distil").press("Start", settings)
    store = Store(runs_dir)
    for _ in range(600):
        runs = store.runs()
        if runs and runs[0].status.get("phase") == "distilling" and (runs[0].status.get("step") or 0) > 20:
            break
        await asyncio.sleep(0.2)
    else:
        raise SystemExit(
            f"the run did not get going: {[(run.id, run.state, run.status) for run in store.runs()]}"
        )
    pace_before = await asyncio.to_thread(steps_per_second, runs[0], asked.alone_seconds)
    showing = [server, *shown_by] if asked.everywhere or not shown_by else shown_by
    before, end = memory_of(showing), asyncio.Event()
    homes = [showing[number % len(showing)].port for number in range(asked.viewers)]
    clickers = [Viewer(port, "attention") for port in homes[: asked.clickers]]
    viewers = [Viewer(port, "distil") for port in homes[asked.clickers :]]
    links, everyone = demo_links(), viewers + clickers
    watching = asyncio.gather(
        *(viewer.watch(end) for viewer in viewers),
        *(
            clicker.click(
                end,
                asked.click_every,
                links[number % len(links) :] + links[: number % len(links)],
                asked.click_every * share,
            )
            for number, clicker in enumerate(clickers)
            for share in [number / len(clickers)]
        ),
    )
    while any(each.ready_seconds is None for each in everyone) and not watching.done():
        await asyncio.sleep(0.1)
    stand, used = time.monotonic(), sum(each.cpu_seconds for each in showing)
    watched_pace = await asyncio.to_thread(steps_per_second, runs[0], asked.seconds)
    during = memory_of(showing)
    used = (sum(each.cpu_seconds for each in showing) - used) / (time.monotonic() - stand)
    end.set()
    await watching
    await asyncio.sleep(asked.calm_seconds)
    alone_pace = (pace_before + await asyncio.to_thread(steps_per_second, runs[0], asked.alone_seconds)) / 2
    return {
        "viewers": asked.viewers,
        "clickers": asked.clickers,
        "servers_that_show": len(showing),
        "seconds": asked.seconds,
        "all_ready_seconds": round(max(viewer.ready_seconds for viewer in everyone), 2),
        **summaries("rerun", viewers, stand),
        **summaries("click", clickers, stand),
        "memory_before_mb": round(before),
        "memory_during_mb": round(during),
        "memory_after_mb": round(memory_of(showing)),
        "processor_share": round(used, 2),
        "steps_per_second_alone": round(alone_pace, 2),
        "steps_per_second_watched": round(watched_pace, 2),
        "slowed_share": round(1 - watched_pace / alone_pace, 3) if alone_pace else None,
        "fewest_reruns_of_a_server": fewest_of_a_server(viewers, showing),
        "fewest_clicks_of_a_server": fewest_of_a_server(clickers, showing),
        "received_mb": round(sum(viewer.received_bytes for viewer in everyone) / 1e6, 1),
        "exceptions": sum(viewer.exceptions for viewer in everyone),
        "state": runs[0].state,
    }


async def wait(end: asyncio.Event, seconds: float) -> None:
    """So long, or until the end."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(end.wait(), seconds)


def summaries(name: str, windows: list[Viewer], stand: float) -> dict:
    """`summary` of what was asked for once every page stood, and of what was while pages were opening."""
    reruns = [rerun for each in windows for rerun in each.reruns]
    opening = [seconds for begin, seconds in reruns if begin < stand]
    return summary(name, [seconds for begin, seconds in reruns if begin >= stand]) | {
        f"{name}_p95_seconds_while_opening": p95(opening)
    }


def summary(name: str, seconds: list[float]) -> dict:
    """How many there were; their median and the 95th percentile in seconds, None where there were none."""
    return {
        f"{name}s": len(seconds),
        f"{name}_median_seconds": round(statistics.median(seconds), 3) if seconds else None,
        f"{name}_p95_seconds": p95(seconds),
    }


def p95(seconds: list[float]) -> float | None:
    return round(sorted(seconds)[int(0.95 * (len(seconds) - 1))], 3) if seconds else None


def fewest_of_a_server(windows: list[Viewer], servers: list[Server]) -> int:
    """How many reruns that server answered which answered the fewest."""
    return min(sum(len(each.reruns) for each in windows if each.port == server.port) for server in servers)


def memory_of(servers: list[Server]) -> float:
    return sum(server.memory_mb for server in servers)


def demo_links() -> list[str]:
    """Links to maps of the stored demo: layers, heads and sentences of one run."""
    run = Store(DEMO_RUNS).runs()[0]
    return [
        f"run={run.id}&preset={probe.id}&layer={pair + 1}&head={1 + (pair + number) % 3}"
        for number, probe in enumerate(run.probes[:4])
        for pair in range(len(run.pairs))
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--teacher", help="checkpoint of the run that is watched, such as minilm-l6 (default: a tiny one)"
    )
    parser.add_argument("--viewers", type=int, default=30)
    parser.add_argument(
        "--clickers", type=int, default=0, help="how many of the viewers look at maps and click"
    )
    parser.add_argument("--click-every", type=float, default=5.0, help="seconds between two clicks of one")
    parser.add_argument("--shown-by", type=int, default=0, help="servers beside the one that trains")
    parser.add_argument("--everywhere", action="store_true", help="viewers at the one that trains too")
    parser.add_argument("--seconds", type=float, default=180, help="from when every page stands")
    parser.add_argument("--alone-seconds", type=float, default=20)
    parser.add_argument("--calm-seconds", type=float, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kdviz-viewers-") as work:
        teacher = asked.teacher or str(make_teacher(Path(work) / "tiny", num_layers=6, hidden_size=128))
        runs_dir = Path(work) / "runs"
        runs_dir.mkdir()
        server = Server(runs_dir)
        shown_by = [Server(runs_dir, KDVIZ_READ_ONLY="1") for _ in range(asked.shown_by)]
        try:
            figures = asyncio.run(measure(server, shown_by, runs_dir, asked, teacher))
        finally:
            for each in (server, *shown_by):
                each.end()
                each.log.close()
            print(Path(work, "server.log").read_text()[-1500:], file=sys.stderr)
    print(json.dumps(figures))
    return bool(figures["exceptions"] or figures["state"] not in ("running", "finished"))


if __name__ == "__main__":
    sys.exit(main())
