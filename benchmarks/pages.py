"""What a visitor waits for: a default run from Start to its end, and every kind of click on the pages; prints
JSON.

    python benchmarks/pages.py --repetitions 10

Starts the app with an empty runs folder and drives it in headless Chromium (Playwright from
tests/requirements.txt). First the default run with nothing kept: how long until it runs, until the first
numbers stand, until it has finished. While it trains, a second tab changes layer, head and moment of the
stored demo. Then a second run with the same teacher; and with nothing training, the same clicks again, the
presets, all heads at a glance, and an own sentence put to the trained models.

A change counts from the browser's own event of the click or key to the first animation frame in which the
figures on the page show other data. `received_bytes` is what came over the socket for it. Medians, lowest and
highest, in milliseconds.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from startup import ROOT, free_port, wait_until_open

PATIENCE_MS, CHANGE_PATIENCE_MS = 240_000, 15_000
WATCH = """() => {
    const seen = () => [...document.querySelectorAll('.js-plotly-plot')].map(chart => {
        let sum = chart.data.length
        for (const trace of chart.data) for (const row of trace.type === 'heatmap' ? trace.z : []) for (const value of row) sum = sum * 1.0001 + (value || 0)
        return sum + '|' + (chart.layout.annotations || []).map(each => each.text).join('|')
    }).join('/')
    const before = seen()
    window.kdvizChange = null
    let begin = null
    for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, event => { begin = event.timeStamp }, {capture: true})
    const look = now => {
        if (begin !== null && seen() !== before && document.querySelector('.js-plotly-plot')) { window.kdvizChange = performance.now() - begin; return }
        requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
}"""


class Tab:
    """One page of the app and the clock beside it."""

    def __init__(self, browser: Browser, url: str, path: str):
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.received_bytes = 0
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        self.url = url
        self.open(path)

    def _count(self, payload: str | bytes) -> None:
        self.received_bytes += len(payload)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)
        self.rest()

    def rest(self) -> None:
        """Until the script has come to rest and stayed so for half a second."""
        calm, give_up = 0, time.monotonic() + PATIENCE_MS / 1000
        while calm < 5 and time.monotonic() < give_up:
            state = self.page.evaluate(
                "document.querySelector('[data-testid=\"stApp\"]')?.getAttribute('data-test-script-state')"
            )
            calm = (
                calm + 1
                if state == "notRunning" and not self.page.locator('[data-testid="stSkeleton"]').count()
                else 0
            )
            self.page.wait_for_timeout(100)

    def change(self, act: Callable[[], None]) -> tuple[float, int]:
        """(milliseconds from the last click or key of `act` until the figures show other data, bytes received
        for it).
        """
        self.page.evaluate(WATCH)
        before = self.received_bytes
        act()
        self.page.wait_for_function("window.kdvizChange !== null", timeout=CHANGE_PATIENCE_MS)
        milliseconds = self.page.evaluate("window.kdvizChange")
        self.rest()
        return milliseconds, self.received_bytes - before

    def key(self, name: str) -> Callable[[], None]:
        """Press a key with nothing in focus: in a list, the arrows walk through the list."""

        def act() -> None:
            self.page.evaluate("document.activeElement.blur()")
            self.page.keyboard.press(name)

        return act

    def option(self, label: str, number: int) -> Callable[[], None]:
        """Choose an option of a drop-down list by its place."""

        def act() -> None:
            self.page.get_by_role("combobox", name=label).first.click()
            self.page.get_by_role("option").nth(number).click()

        return act


def summary(changes: list[tuple[float, int]]) -> dict[str, float]:
    milliseconds = [change[0] for change in changes]
    return {
        "median": round(statistics.median(milliseconds)),
        "lowest": round(min(milliseconds)),
        "highest": round(max(milliseconds)),
        "n": len(milliseconds),
        "received_bytes": round(statistics.median(change[1] for change in changes)),
    }


def moves(tab: Tab, repetitions: int, path: str) -> dict[str, dict]:
    """Layer, head and moment of the maps."""
    tab.open(path)
    layers = [tab.change(tab.option("Layer", number % 3)) for number in range(repetitions)]
    heads = [tab.change(tab.option("Head", 1 + number % 12)) for number in range(repetitions)]
    moments = [
        tab.change(tab.key("ArrowLeft" if number // 5 % 2 == 0 else "ArrowRight"))
        for number in range(repetitions)
    ]
    return {"layer": summary(layers), "head": summary(heads), "moment": summary(moments)}


def start_run(tab: Tab) -> dict[str, float]:
    """Press Start; seconds until it runs and until its first numbers stand."""
    button = tab.page.get_by_role("button", name="Start", exact=True)
    button.wait_for()
    begin = time.monotonic()
    button.click()
    wait_for_state(tab, "running")
    running = time.monotonic() - begin
    tab.page.wait_for_function(
        "[...document.querySelectorAll('[data-testid=\"stMetricValue\"]')].some(each => "
        "/\\d/.test(each.textContent))"
    )
    return {
        "running_seconds": round(running, 2),
        "first_numbers_seconds": round(time.monotonic() - begin, 2),
        "begin": begin,
    }


def wait_for_state(tab: Tab, words: str) -> None:
    """Until the run in the live view, whose badge is the first of the page, is in this state."""
    tab.page.wait_for_function(
        "words => (document.querySelector('.stMarkdownBadge')?.textContent || '').includes(words)", arg=words
    )


def finish(tab: Tab, started: dict[str, float]) -> dict[str, float]:
    wait_for_state(tab, "finished")
    begin = started.pop("begin")
    return started | {"finished_seconds": round(time.monotonic() - begin, 1)}


def measure(browser: Browser, url: str, server: psutil.Process, repetitions: int) -> dict:
    demo = "/attention?run=demo-cola-all-3l-s0&layer=3"
    result: dict = {}
    looking = Tab(browser, url, demo)
    moves(looking, 1, demo)  # the first of each kind pays for what is loaded late
    distil = Tab(browser, url, "/distil")
    distil.page.wait_for_timeout(8000)  # a visitor reads; the background imports end
    started = start_run(distil)
    distil.page.get_by_text("Distilling").first.wait_for()
    result["while_training"] = moves(looking, repetitions, demo)
    result["default_run"] = finish(distil, started)
    result["default_run"]["peak_mebibytes"] = round(peak_mebibytes(server.pid))
    distil.rest()
    started = start_run(distil)
    distil.page.get_by_text("Distilling").first.wait_for()
    started["distilling_seconds"] = round(time.monotonic() - started["begin"], 2)
    result["second_run"] = finish(distil, started)
    result["idle"] = moves(looking, repetitions, demo)
    looking.open(demo)
    result["idle"]["preset"] = summary(
        [looking.change(looking.option("Sentence", 1 + number % 4)) for number in range(repetitions)]
    )
    looking.open(demo.replace("/attention", "/layers"))
    result["idle"]["all_heads"] = summary(
        [looking.change(lambda: looking.page.get_by_text("All heads").click())]
    )
    looking.open("/attention?text=The+keys+to+the+cabinet+are+here")
    box = looking.page.get_by_label("Your sentence")

    def ask(number: int) -> Callable[[], None]:
        def act() -> None:
            box.fill(f"The {number} keys to the old cabinet is here.")
            box.press("Enter")

        return act

    result["idle"]["own_sentence"] = summary([looking.change(ask(number)) for number in range(repetitions)])
    return result


def peak_mebibytes(pid: int) -> float:
    """The most memory the process ever had resident."""
    return (
        int(
            next(
                line
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("VmHWM")
            ).split()[1]
        )
        / 1024
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kdviz-pages-") as runs, sync_playwright() as playwright:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port),
            "--server.headless",
            "true",
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KDVIZ_")} | {
            "KDVIZ_RUNS_DIR": runs
        }
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until_open(port)
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            print(
                json.dumps(
                    measure(
                        browser, f"http://127.0.0.1:{port}", psutil.Process(server.pid), asked.repetitions
                    ),
                    indent=1,
                )
            )
            browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
