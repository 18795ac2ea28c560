"""Clicks that meet a refresh: a real browser clicks on pages that draw themselves anew while a run trains,
and every click has to come about.

    python tests/robustness/clicks.py --clicks 100
    python tests/robustness/clicks.py --clicks 100 --busy 2      # beside two busy processes

A real server trains students of a tiny teacher; Chromium presses and lets go of the mouse at random moments
within the refresh period (`--seed`): on Start, the strategy in the form, pages in the navigation, part and
sentence of the maps, Stop in the live view and in the list, Resume; and, as a quick hand does, on Start, Stop
and Resume with a page right behind it. After each it waits up to 30 s until what was asked for is so, in the
run folder and on the page; what is not, or is undone before the next click, is lost. Where the page moved
under the finger, so that the click fell elsewhere, it clicks again, or begins anew where what it hit leads to
another page, and counts that as moved. Measured: the
median and the 95th percentile of the seconds until answered, of each kind, and how many took longer than 5 s.
Prints one JSON line; exit status 1 where a click was lost or a page showed an exception.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from browsing import CHROMIUM, FLAGS, come_to_rest, serve  # noqa: E402
from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright  # noqa: E402
from test_browser_run import open_page, set_up  # noqa: E402
from tiny import make_teacher  # noqa: E402
from viewers import summary  # noqa: E402

from kdviz.runs.reader import Run  # noqa: E402

PATIENCE_SECONDS, SLOW_SECONDS, REFRESH_SECONDS = 30, 5, 1
PRESS_SECONDS, QUICK_SECONDS = 0.08, 0.4
"""How long a finger stays down; how soon at the latest a quick hand is at the next thing."""
STRATEGIES = {"soft": "soft labels", "all": "all layers at once"}
PAGES = {
    "Distil": "Distil a student",
    "Attention": "Where the teacher looks",
    "Layers": "How far apart teacher and student are",
}
"""Pages of the navigation, and the heading by which each is known."""
NOTE_CLICKS = 'addEventListener("click", event => window.met ||= window.aim?.contains(event.target), true)'
AIM = """element => {
    const box = element.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2
    window.aim = element
    window.met = false
    return element.contains(document.elementFromPoint(x, y)) ? [x, y] : null
}"""


class Lost(Exception):
    """A click did not come about."""


class Elsewhere(Exception):
    """The page moved under the finger, and what was hit leads to another page."""


class Hand:
    """One visitor who clicks. `seconds`: until answered, by kind; `losses`: what was lost; `moved`: how often
    the page moved under the finger.
    """

    def __init__(self, page: Page, runs_dir: Path, chance: random.Random, pictures: Path | None):
        self.page, self.runs_dir, self.chance, self.pictures = page, runs_dir, chance, pictures
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.losses: list[str] = []
        self.moved = 0
        self._last: tuple[str, Callable[[], bool]] = "", lambda: True

    @property
    def num_clicks(self) -> int:
        return sum(map(len, self.seconds.values()))

    def rounds(self) -> Iterator[None]:
        """Every kind of click in turn, for ever; yields behind each of them."""
        while True:
            try:
                yield from self.round(None)
                yield from self.round("Layers")
            except Elsewhere:
                self.begin_anew()
                yield
            except Lost as lost:
                self.losses.append(str(lost))
                if self.pictures:
                    self.page.screenshot(path=self.pictures / f"lost-{len(self.losses)}.png", full_page=True)
                self.begin_anew()
                yield

    def round(self, then: str | None) -> Iterator[None]:
        """From no run that goes on to none, over all pages. `then`: the page of the quick hand."""
        number = len(self.runs())
        yield from self.ask(
            "start", "distil.start", lambda: len(self.runs()) > number and self.is_now("running"), then
        )
        name = self.run.id
        yield from self.choose_strategy()
        yield from self.look_at_the_maps()
        stops = self.chance.sample(("distil.stop", f"distil.stop.{name}"), 2)
        yield from self.ask("stop", stops[0], lambda: self.is_now("stopped"), then)
        yield from self.ask("resume", f"distil.resume.{name}", lambda: self.is_now("running"), then)
        yield from self.ask("stop", stops[1], lambda: self.is_now("stopped"), then)

    def ask(self, kind: str, key: str, done: Callable[[], bool], then: str | None) -> Iterator[None]:
        """Press the button of this key, with `then` that page right behind it and Distil again afterwards."""
        button = self.page.locator(f".st-key-{key.replace('.', '-')} button").first
        if then is None:
            yield from self.click(kind, button, lambda: done() and self.is_shown())
        else:
            yield from self.click(
                f"{kind} and a page", button, lambda: done() and self.is_on(then), self.link(then)
            )
            yield from self.go_to("Distil")

    def choose_strategy(self) -> Iterator[None]:
        words = self.page.get_by_test_id("stCaptionContainer").locator("code")
        told = {name: words.get_by_text(name, exact=True) for name in STRATEGIES}
        for name in sorted(STRATEGIES, key=lambda name: told[name].count()):
            choice = self.page.get_by_role("radio", name=STRATEGIES[name])
            yield from self.click("strategy", choice, lambda name=name: told[name].count() > 0)

    def look_at_the_maps(self) -> Iterator[None]:
        yield from self.go_to("Attention")
        for name, value in (("BertViz", "bertviz"), ("Explorer", "maps")):
            part = self.page.get_by_role("radio", name=name)
            yield from self.click("part", part, lambda value=value: f"show={value}" in self.page.url)
        probe = self.chance.choice([each for each in self.run.probes[1:4] if each.id not in self.page.url])
        option = self.page.get_by_role("option").filter(has_text=probe.title).first
        yield from self.click("list", self.page.get_by_role("combobox", name="Sentence"), option.is_visible)
        yield from self.click("sentence", option, lambda: f"preset={probe.id}" in self.page.url)
        yield from self.go_to("Layers")
        yield from self.go_to("Distil")

    def go_to(self, name: str) -> Iterator[None]:
        yield from self.click("page", self.link(name), lambda: self.is_on(name))

    def click(
        self, kind: str, what: Locator, done: Callable[[], bool], then: Locator | None = None
    ) -> Iterator[None]:
        """Click at a random moment, on `then` right behind it, and wait until it is done."""
        try:
            what.wait_for(timeout=1000 * PATIENCE_SECONDS)
        except TimeoutError as error:
            raise Lost(f"{kind}: nothing to click on after {self._last[0]}, at {self.page.url}") from error
        self.page.wait_for_timeout(1000 * self.chance.uniform(0, REFRESH_SECONDS))
        last, still = self._last
        self._last = "", lambda: True
        if not still():
            raise Lost(f"{last}: undone, at {self.page.url}")
        begin = time.monotonic()
        self.press(what)
        if then is not None:
            self.page.wait_for_timeout(1000 * self.chance.uniform(0, QUICK_SECONDS))
            self.press(then)
        while not done():
            if time.monotonic() > begin + PATIENCE_SECONDS:
                states = [run.state for run in self.runs()]
                raise Lost(f"{kind}: not answered, with runs {states}, at {self.page.url}")
            self.page.wait_for_timeout(20)
        self.seconds[kind].append(time.monotonic() - begin)
        self._last = kind, done
        yield

    def press(self, what: Locator) -> None:
        """Where it is now, for as long as a finger takes; once more where it was not there any longer."""
        place, page = None, self.page.url.split("?")[0]
        while place is None:  # the page grew meanwhile
            what.scroll_into_view_if_needed()
            place = what.evaluate(AIM)
        self.page.mouse.click(*place, delay=1000 * PRESS_SECONDS)
        if self.page.evaluate("!window.met && window.aim.isConnected"):
            self.moved += 1
            try:
                what.wait_for(timeout=1000 * PATIENCE_SECONDS)
            except TimeoutError as error:
                if self.page.url.split("?")[0] != page:
                    raise Elsewhere from error
                raise Lost(f"it was gone after a press beside it, at {self.page.url}") from error
            self.press(what)

    def begin_anew(self) -> None:
        """Back to a Distil page on which no run goes on."""
        self._last = "", lambda: True
        self.page.goto(self.page.url.split("?")[0].rpartition("/")[0] + "/distil")
        while self.runs() and self.run.state in ("queued", "running"):
            come_to_rest(self.page)
            self.page.get_by_role("button", name="Stop").first.click()
            self.page.wait_for_timeout(3000)
        come_to_rest(self.page)

    def runs(self) -> list[Run]:
        """The runs there are, the oldest first."""
        found = [Run(path.parent) for path in self.runs_dir.glob("[!.]*/config.json")]
        return sorted(found, key=lambda run: run.config["created"])

    @property
    def run(self) -> Run:
        return self.runs()[-1]

    def is_now(self, state: str) -> bool:
        return self.run.state == state

    def is_shown(self) -> bool:
        """Whether the list of runs says of the last one what its folder says."""
        row = self.page.locator(f".st-key-distil-row-{self.run.id}")
        return row.locator(".stMarkdownBadge").filter(has_text=self.run.state).count() > 0

    def is_on(self, name: str) -> bool:
        words = self.page.get_by_test_id("stMain").get_by_text(PAGES[name]).first
        return f"/{name.lower()}" in self.page.url and words.is_visible()

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)


def measure(asked: argparse.Namespace, work: Path) -> dict:
    """The figures of so many clicks."""
    teacher, runs_dir = make_teacher(work / "tiny"), work / "runs"
    runs_dir.mkdir()
    with contextmanager(serve)(runs_dir) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(NOTE_CLICKS)
        page = open_page(context.new_page(), url)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        set_up(page, teacher, epochs=900, batches=20)
        page.get_by_text("on this machine: 18,000 steps").wait_for()  # all that is heavy has been imported
        hand = Hand(page, runs_dir, random.Random(asked.seed), asked.pictures)
        exceptions = 0
        for _ in hand.rounds():
            exceptions += page.get_by_test_id("stException").count()
            if hand.num_clicks + len(hand.losses) >= asked.clicks:
                break
        browser.close()
    answered = [seconds for each in hand.seconds.values() for seconds in each]
    return {
        "busy": asked.busy,
        **summary("click", answered),
        "longest_seconds": round(max(answered), 2),
        "slow": sum(seconds > SLOW_SECONDS for seconds in answered),
        "moved": hand.moved,
        "lost": len(hand.losses),
        "losses": hand.losses,
        "exceptions": exceptions,
        "errors": errors,
        "kinds": {kind: summary("click", seconds) for kind, seconds in sorted(hand.seconds.items())},
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clicks", type=int, default=100)
    parser.add_argument("--busy", type=int, default=0, help="processes that are busy beside it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of the page at every loss")
    asked = parser.parse_args()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(asked.busy)]
    try:
        with tempfile.TemporaryDirectory(prefix="kdviz-clicks-") as work:
            figures = measure(asked, Path(work))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    print(json.dumps(figures))
    return bool(figures["lost"] or figures["exceptions"] or figures["errors"])


if __name__ == "__main__":
    sys.exit(main())
