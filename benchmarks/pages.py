"""What a visitor waits for: a default run from Start to its end, and every kind of click on the pages; prints
JSON.

    python benchmarks/pages.py --repetitions 10
    python benchmarks/pages.py --only-moves --before ../kdviz-plotly   # 24f1644 there: the page before

Starts the app with an empty runs folder and drives it in headless Chromium (Playwright from
tests/requirements.txt). First the default run with nothing kept: how long until it runs, until the first
numbers stand, until it has finished. While it trains, a second tab changes layer, head and moment of the
stored demo, lights cells and turns maps into lines. Then a second run with the same teacher; and with nothing
training, the same again, the presets, all heads at a glance, and an own sentence put to the trained models.

A change counts from the browser's own event of the click or key to the end of the first animation frame in
which the picture, or the figures on the page, show other data. `received_bytes` is what came over the socket
for it. `--before` measures layer, head and moment of another checkout, whose Attention page is made of
plotly, on the same machine in the same run. Then the picture alone, with 24 and 64 tokens × 12 pairs × 12
heads (drawing.py), idle and while a run trains. Medians and 95th percentiles, in milliseconds.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from drawing import drawing, quantiles, training
from playwright.sync_api import Browser, Page, sync_playwright
from startup import DRAWN, ROOT, free_port, wait_until_open

sys.path.insert(0, str(ROOT))
from kdviz.ui.frame.store import DEMO_RUNS, Store, default_run

PATIENCE_MS, CHANGE_PATIENCE_MS = 240_000, 15_000
BEFORE = "/attention?run=demo-cola-all-3l-s0&layer=3"
LENGTHS = (24, 64)
WATCH = """() => {
    const seen = () => [...document.querySelectorAll('.js-plotly-plot')].map(chart => {
        let sum = chart.data.length
        for (const trace of chart.data)
            for (const row of trace.type === 'heatmap' ? trace.z : [])
                for (const value of row) sum = sum * 1.0001 + (value || 0)
        return sum + '|' + (chart.layout.annotations || []).map(each => each.text).join('|')
    }).join('/')
    const before = seen()
    window.kdvizChange = null
    let begin = null
    const note = event => { begin = event.timeStamp }
    for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, note, {capture: true})
    const look = now => {
        const shown = begin !== null && seen() !== before && document.querySelector('.js-plotly-plot')
        if (shown) window.kdvizChange = performance.now() - begin
        else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
}"""


WATCH_PICTURE = """() => {
    const places = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
    const explorer = places.map(each => each.explorer).find(Boolean)
    const before = explorer.drawn
    window.kdvizChange = null
    let begin = null
    const note = event => { begin ??= event.timeStamp }
    const kinds = ['pointermove', 'pointerdown', 'keydown']
    for (const kind of kinds) addEventListener(kind, note, {capture: true, once: true})
    const look = () => {
        if (begin !== null && explorer.drawn !== before) window.kdvizChange = performance.now() - begin
        else requestAnimationFrame(look)
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

    def change(self, act: Callable[[], None], watch: str = WATCH) -> tuple[float, int]:
        """(milliseconds from the click or key of `act` until the figures show other data, bytes received for
        it).
        """
        self.page.evaluate(watch)
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

    def picture_key(self, name: str) -> Callable[[], None]:
        """Press a key in the picture."""

        def act() -> None:
            self.page.locator(".kx-slider").focus()
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
        **quantiles(milliseconds),
        "highest": round(max(milliseconds), 1),
        "n": len(milliseconds),
        "received_bytes": round(statistics.median(change[1] for change in changes)),
    }


def moves(tab: Tab, repetitions: int, path: str) -> dict[str, dict]:
    """Layer, head and moment of the explorer, a cell lit by the mouse, and the lines between words."""
    tab.open(path)
    tab.page.wait_for_function(DRAWN)
    keys = {
        "layer": ("ArrowDown", "ArrowUp"),
        "head": (".",),
        "moment": ("ArrowLeft",) * 5 + ("ArrowRight",) * 5,
        "lines": ("l",),
    }
    measured = {
        kind: summary(
            [
                tab.change(tab.picture_key(names[number % len(names)]), WATCH_PICTURE)
                for number in range(repetitions)
            ]
        )
        for kind, names in keys.items()
    }
    box = tab.page.locator(".kx-figure").bounding_box()

    def point(number: int) -> Callable[[], None]:
        place = (box["x"] + 100 + 20 * (number % 5), box["y"] + 90 + 20 * (number % 7))
        return lambda: tab.page.mouse.move(*place)

    cells = [tab.change(point(number), WATCH_PICTURE) for number in range(repetitions)]
    return {**measured, "cell": summary(cells)}


def plotly_moves(tab: Tab, repetitions: int, path: str) -> dict[str, dict]:
    """Layer, head and moment of a page whose maps are plotly figures."""
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


def measure(browser: Browser, url: str, server: psutil.Process, repetitions: int, demo: str) -> dict:
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
        [
            looking.change(looking.option("Sentence", 1 + number % 4), WATCH_PICTURE)
            for number in range(repetitions)
        ]
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

    result["idle"]["own_sentence"] = summary(
        [looking.change(ask(number), WATCH_PICTURE) for number in range(repetitions)]
    )
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


@contextmanager
def served(checkout: Path, runs: str) -> Iterator[tuple[str, int]]:
    """The app of a checkout over a runs folder: its address, and the server's process id."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KDVIZ_")}
    server = subprocess.Popen(
        [*command, "--server.port", str(port)],
        cwd=checkout,
        env=environment | {"KDVIZ_RUNS_DIR": runs},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_open(port)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--before", type=Path, help="a checkout whose Attention page is made of plotly")
    parser.add_argument("--only-moves", action="store_true", help="only the changes of the maps")
    asked = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory(prefix="kdviz-pages-") as runs, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        if asked.before:
            with served(asked.before, runs) as (url, _):
                result["before"] = plotly_moves(Tab(browser, url, BEFORE), asked.repetitions, BEFORE)
        with served(ROOT, runs) as (url, pid):
            demo = f"/attention?run={default_run(Store(DEMO_RUNS).runs()).id}"
            if asked.only_moves:
                result["idle"] = moves(Tab(browser, url, demo), asked.repetitions, demo)
                with training():
                    result["while_training"] = moves(Tab(browser, url, demo), asked.repetitions, demo)
            else:
                result |= measure(browser, url, psutil.Process(pid), asked.repetitions, demo)
        result["drawing"] = {f"{length} tokens": drawing(browser, length) for length in LENGTHS}
        with training():
            result["drawing_while_training"] = {
                f"{length} tokens": drawing(browser, length) for length in LENGTHS
            }
        browser.close()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
