"""What tests in a real browser share: a real server, a visitor's private window, what went wrong in it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_SECONDS = 90
PATIENT = 8
"""A machine that runs two test processes beside others is so many times as slow as the stories allow."""
OWN_PROBES = re.compile(
    r"_stcore/(health|host-config)$"
)  # Streamlit's page asks for these below its own path first, and gets 404

EXPLORER = (
    "[...document.querySelectorAll('[data-testid=\"stBidiComponentIsolated\"]')].map(each => each.explorer)"
    ".find(Boolean)"
)

IN_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium on the PATH"),
]


def app_command(port: int) -> list[str]:
    """What starts the app on this port."""
    app = [sys.executable, "-m", "streamlit", "run", "app.py"]
    return [*app, "--server.headless", "true", "--server.port", str(port)]


def serve(runs: Path, **settings: str) -> Iterator[str]:
    """The address of a fresh server over these runs, ended afterwards. `settings`: KDVIZ_ variables."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KDVIZ_")} | {
        "KDVIZ_RUNS_DIR": str(runs),
        **settings,
    }
    said = runs.parent / f"server-{port}.log"  # worker processes may serve the same runs
    with open(said, "w") as log:
        process = subprocess.Popen(app_command(port), cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_healthy(url):
            assert time.monotonic() < end and process.poll() is None, said.read_text()
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def is_healthy(url: str) -> bool:
    try:
        return urllib.request.urlopen(url + "/_stcore/health", timeout=2).status == 200
    except OSError:
        return False


def come_to_rest(page) -> None:
    """Wait until the script has come to rest and stayed so."""
    calm = 0
    end = time.monotonic() + PATIENCE_SECONDS
    while calm < 6:
        assert time.monotonic() < end, "the page did not come to rest"
        state = page.evaluate(
            "document.querySelector('[data-testid=\"stApp\"]')?.getAttribute('data-test-script-state')"
        )
        waiting = page.locator('[data-testid="stSkeleton"], [data-testid="stAppSkeleton"]').count()
        calm = calm + 1 if state == "notRunning" and not waiting else 0
        page.wait_for_timeout(100)


class Visitor:
    """One private window, and what went wrong in it."""

    def __init__(self, browser, url: str, **options):
        self.url, self.faults = url, []
        self.page = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options)).new_page()
        self.page.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "requestfailed",
            lambda request: (  # a page that is left gives up what it had asked for
                request.failure != "net::ERR_ABORTED" and self.faults.append(f"failed: {request.url}")
            ),
        )
        self.page.on(
            "response",
            lambda answer: (
                answer.status >= 400
                and not OWN_PROBES.search(answer.url)
                and self.faults.append(f"{answer.status}: {answer.url}")
            ),
        )
        self.page.on(
            "request",
            lambda request: (
                request.url.startswith("http")
                and not request.url.startswith(url)
                and self.faults.append(f"other host: {request.url}")
            ),
        )

    def open(self, path: str) -> "Visitor":
        self.page.goto(self.url + path)
        return self.rest()

    def afresh(
        self,
        *,
        width: int = 1280,
        height: int = 900,
        color_scheme: str = "light",
        reduced_motion: str = "no-preference",
    ) -> "Visitor":
        """This window as a visitor's whom the server has never seen. The client's scripts are compiled
        already, which is two thirds of what a window of one's own takes.
        """
        self.leave()
        self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        self.page.context.clear_cookies()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=color_scheme, reduced_motion=reduced_motion)
        self.faults.clear()
        return self

    def leave(self) -> None:
        """Close the page, and keep the window: an address of the same server keeps its compiled scripts."""
        self.page.goto(self.url + "/_stcore/health")

    def rest(self) -> "Visitor":
        """Until the script has come to rest and stayed so."""
        come_to_rest(self.page)
        assert self.page.locator('[data-testid="stException"]').count() == 0
        return self

    def params(self, **wanted: str) -> None:
        """Wait until the address says what is wanted."""
        self.until(
            lambda: all(f"{name}={value}" in self.page.url for name, value in wanted.items()),
            f"{wanted} in the address",
        )
        self.rest()

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait with the browser's events going on, which time.sleep would hold up."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < end, (
                f"{what} did not come within {PATIENCE_SECONDS} s; the address is {self.page.url}"
            )
            self.page.wait_for_timeout(200)

    def click_chart(self, has: str, x: float, y: float, axis: str = "") -> None:
        """Click at data coordinates of the chart that has a trace of this name (or name prefix)."""
        script = """([has, x, y, axis]) => {
            const has_it = each => each.data.some(trace => (trace.name || '').startsWith(has))
            const chart = [...document.querySelectorAll('.js-plotly-plot')].find(has_it)
            chart.scrollIntoView({block: 'center', behavior: 'instant'})
            const box = chart.getBoundingClientRect(), layout = chart._fullLayout
            const across = layout['xaxis' + axis], up = layout['yaxis' + axis]
            const place = [box.left + across._offset + across.d2p(x), box.top + up._offset + up.d2p(y)]
            return [place, Boolean(chart._hoverdata?.length)]
        }"""
        at = None

        def under_the_pointer() -> bool:
            """Whether the point lights up where it stands, as a person sees before clicking: a chart that is
            moved or drawn anew in between has nothing under the click.
            """
            nonlocal at
            place, lit = self.page.evaluate(script, [has, x, y, axis])
            if lit and place == at:
                return True
            at = place
            self.page.mouse.move(place[0] + 2, place[1] + 2)
            self.page.mouse.move(*place)
            return False

        self.until(under_the_pointer, f"the pointer over ({x}, {y}) of {has}")
        self.page.mouse.click(*at)

    def picture(self) -> dict:
        """What the explorer is looking at, and how often it has drawn."""
        self.until(lambda: self.page.evaluate(f"Boolean({EXPLORER}?.packs.length)"), "the picture")
        return self.page.evaluate(
            f"""() => {{
                const explorer = {EXPLORER}, {{ state, packs, drawn }} = explorer
                const runs = packs.map(pack => pack.about.run)
                return {{ ...state, step: packs[0].steps[state.moment], runs, drawn }}
            }}"""
        )

    def figures(self) -> dict:
        """Everything drawn, as numbers: the explorer's state, and the data of every chart."""
        return self.page.evaluate(
            f"""() => {{
                const explorer = {EXPLORER}, charts = [...document.querySelectorAll('.js-plotly-plot')]
                const {{ pair, head, moment, mode, hide, weak }} = explorer?.state ?? {{}}
                const packs = explorer?.packs.map(each => each.id) ?? []
                const drawn = charts.map(each => each.data.map(({{ name, x, y, z }}) => [name, x, y, z]))
                return {{ at: [packs, pair, head, moment, mode, hide, weak], charts: JSON.stringify(drawn) }}
            }}"""
        )

    def cell(self, who: str, query: int, key: int) -> float:
        """The number of one cell of the map in sight, as the explorer shows it: who is teacher or student."""
        self.picture()
        self.page.evaluate(f"cell => {EXPLORER}.set({{ focus: cell }})", {"query": query, "key": key})
        words = f"{who} "
        self.until(lambda: words in self.page.locator(".kx-readout").inner_text(), "the numbers of the cell")
        text = self.page.locator(".kx-readout").inner_text()
        return float(text.split(words)[-1].split(",")[0].replace("−", "-"))
