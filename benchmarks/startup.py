"""From the command to the first view of the stored demo, what a first visit loads, and the server's memory;
prints JSON.

    python benchmarks/startup.py --repetitions 5

Each repetition starts the app anew with an empty runs folder and opens it in headless Chromium (Playwright
from tests/requirements.txt). `first_view_seconds` counts from the command until the picture of the Start
page is drawn; then a second visitor with an empty cache comes: `visit_seconds` counts from opening the page
until its picture is drawn, `visit_requests` and `visit_bytes` are what Chromium fetched for it (headers and
bodies as they came over the wire), `socket_bytes` what came over the web socket, and `largest` the heaviest
files. The memory is the server's resident size at the first view and a while later, when the heavy imports
that it does in the background are done; `later_visit_seconds` is that of another visitor then. The `bare_`
figures are those of an app of one line of text, started and visited in the same way in the same repetition:
what Streamlit, Chromium and the machine take by themselves. `ratios` are formed within a repetition.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
MEBIBYTE = 1 << 20
DRAWN = """() => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
    .some(place => place.explorer?.drawn)"""
BARE_APP = "import streamlit as st\n\nst.markdown('a line of text')\n"
BARE_DRAWN = """() => document.querySelector('[data-testid="stMarkdown"]')?.innerText.includes("a line")"""
NUM_LARGEST = 8


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_open(port: int, patience_seconds: float = 120.0) -> None:
    give_up = time.monotonic() + patience_seconds
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"the app did not open port {port} in {patience_seconds:g} s")


class Traffic:
    """What a page fetches, as Chromium's network log tells it."""

    def __init__(self, page: Page):
        self.files: dict[str, dict] = {}
        self.socket_bytes = 0
        log = page.context.new_cdp_session(page)
        log.on(
            "Network.requestWillBeSent", lambda told: self._begin(told["requestId"], told["request"]["url"])
        )
        log.on("Network.responseReceived", self._answered)
        log.on("Network.loadingFinished", self._ended)
        log.on("Network.webSocketFrameReceived", self._framed)
        log.send("Network.enable")

    def _begin(self, request: str, url: str) -> None:
        if not url.startswith("data:"):
            self.files[request] = {"file": url.split("/", 3)[3][:80], "bytes": 0, "encoding": ""}

    def _answered(self, told: dict) -> None:
        headers = {name.lower(): value for name, value in told["response"]["headers"].items()}
        if told["requestId"] in self.files:
            self.files[told["requestId"]]["encoding"] = headers.get("content-encoding", "")

    def _ended(self, told: dict) -> None:
        if told["requestId"] in self.files:
            self.files[told["requestId"]]["bytes"] = round(told["encodedDataLength"])

    def _framed(self, told: dict) -> None:
        frame = told["response"]  # binary frames are given in base64
        is_text = frame["opcode"] == 1
        self.socket_bytes += len(frame["payloadData"]) if is_text else len(frame["payloadData"]) * 3 // 4

    def summary(self) -> dict:
        largest = sorted(self.files.values(), key=lambda each: -each["bytes"])[:NUM_LARGEST]
        return {
            "visit_requests": len(self.files),
            "visit_bytes": sum(each["bytes"] for each in self.files.values()),
            "socket_bytes": self.socket_bytes,
            "largest": largest,
        }


@contextmanager
def app_started(
    runs: str, app: str = "app.py", folder: str | Path = ROOT
) -> Iterator[tuple[str, psutil.Process]]:
    """An app in its folder, over a runs folder: its address once it is open, and its process."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", app, "--server.headless", "true"]
    server = subprocess.Popen(
        [*command, "--server.port", str(port)],
        cwd=folder,
        env=os.environ | {"KDVIZ_RUNS_DIR": runs},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_open(port)
        yield f"http://127.0.0.1:{port}/", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def visit(browser: Browser, url: str, *, rest_ms: int = 1500, drawn: str = DRAWN) -> dict:
    """A first visit with an empty cache: seconds until its picture is `drawn`, a condition in JavaScript, and
    what it fetched until it had rested for `rest_ms` (Streamlit asks for a little more once it idles).
    """
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    traffic, begin = Traffic(page), time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(drawn, timeout=120_000)
    seconds = time.perf_counter() - begin
    page.wait_for_timeout(rest_ms)
    context.close()
    return {"visit_seconds": seconds, **traffic.summary()}


def one_start(browser: Browser, later_seconds: float) -> dict:
    """Start the app, see its first picture, let two more visitors in, and stop it."""
    with tempfile.TemporaryDirectory(prefix="kdviz-startup-") as runs:
        begin = time.perf_counter()
        with app_started(runs) as (url, server):
            opened = time.perf_counter() - begin
            first = visit(browser, url, rest_ms=0)
            memory, used = server.memory_info().rss / MEBIBYTE, server.cpu_times()
            time.sleep(1)
            second = visit(browser, url)
            time.sleep(later_seconds)
            return {
                "port_open_seconds": opened,
                "first_view_seconds": opened + first["visit_seconds"],
                "server_processor_seconds": used.user + used.system,
                **second,
                "first_view_mebibytes": memory,
                "later_mebibytes": server.memory_info().rss / MEBIBYTE,
                "later_visit_seconds": visit(browser, url)["visit_seconds"],
            }


def bare_start(browser: Browser) -> dict:
    """Start an app of one line of text, see it, let a second visitor in, and stop it."""
    with tempfile.TemporaryDirectory(prefix="kdviz-startup-") as folder:
        Path(folder, "app.py").write_text(BARE_APP)
        begin = time.perf_counter()
        with app_started(folder, folder=folder) as (url, _):
            opened = time.perf_counter() - begin
            first = visit(browser, url, rest_ms=0, drawn=BARE_DRAWN)
            time.sleep(1)
            return {
                "bare_first_view_seconds": opened + first["visit_seconds"],
                "bare_visit_seconds": visit(browser, url, drawn=BARE_DRAWN)["visit_seconds"],
            }


def median_of(starts: list[dict]) -> dict:
    return {name: round(statistics.median(start[name] for start in starts), 3) for name in starts[0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--later-seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        starts = [
            one_start(browser, asked.later_seconds) | bare_start(browser) for _ in range(asked.repetitions)
        ]
        browser.close()
    largest = starts[0]["largest"]
    for start in starts:
        del start["largest"]
    ratios = [
        {
            f"{name} / bare": start[f"{name}_seconds"] / start[f"bare_{bare}_seconds"]
            for name, bare in (("first_view", "first_view"), ("visit", "visit"), ("later_visit", "visit"))
        }
        for start in starts
    ]
    told = {"median": median_of(starts), "ratios": median_of(ratios), "largest": largest, "starts": starts}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
