"""The lecture in a real browser: by keyboard alone, followed by another window, and read by everybody."""

import shutil
import subprocess
from pathlib import Path

import pytest
from browsing import IN_A_BROWSER, Visitor

from kdviz.share.lecture import SHIPPED, read_lecture

pytestmark = IN_A_BROWSER
LECTURE = read_lecture(SHIPPED / "the-paper.toml")
WALL = {"width": 1280, "height": 720}
SMALL_LETTERS = """() => {
    const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walk.nextNode()) {
        const text = walk.currentNode, element = text.parentElement
        if (!text.data.trim() || !element) continue
        if (['STYLE', 'SCRIPT', 'NOSCRIPT'].includes(element.tagName)) continue
        const box = element.getBoundingClientRect()
        if (!box.width || !box.height || element.closest('[data-testid="stSkipToContent"]')) continue
        if (parseFloat(getComputedStyle(element).fontSize) < 20) found.push(text.data.trim().slice(0, 40))
    }
    return found
}"""


@pytest.mark.story(14)
def test_the_lecture_by_keyboard_alone(visitor: Visitor):
    """The lecturer stands at the wall with a clicker: → has to lead through every step, readable from the
    last row, and Esc has to leave.
    """
    page = visitor.afresh(**WALL).open("/?present=the-paper&at=1").page
    for at, step in enumerate(LECTURE.steps, start=1):
        visitor.params(at=str(at))
        page.get_by_role("heading", name=step.title).first.wait_for()
        assert page.evaluate(SMALL_LETTERS) == []
        main = '[data-testid="stMain"]'
        assert page.evaluate(f"(m => m.scrollWidth - m.clientWidth)(document.querySelector('{main}'))") <= 1
        if at < len(LECTURE.steps):
            page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    visitor.params(at=str(len(LECTURE.steps) - 1))
    for key, words in (("a", LECTURE.steps[-2].answer), ("n", LECTURE.steps[-2].notes)):
        page.keyboard.press(key)
        page.get_by_text(words.split(".")[0]).first.wait_for()
        visitor.rest()
    for words in (LECTURE.steps[-2].answer, LECTURE.steps[-2].notes):
        box = page.get_by_text(words.split(".")[0]).first.bounding_box()
        assert 0 <= box["y"] <= WALL["height"] - box["height"], "a clicker cannot scroll to it"
    page.keyboard.press("Escape")
    visitor.until(lambda: "present=" not in page.url, "the ordinary page")
    visitor.rest()


@pytest.mark.story(22)
def test_the_next_step_begins_at_its_top(visitor: Visitor):
    """Next stands below most steps' words: the step after it opened in its middle, its title out of sight."""
    page = visitor.afresh(**WALL).open("/learn?lecture=the-paper&at=4").page
    page.get_by_role("button", name="Next").click()  # which scrolls to it
    visitor.params(at="5")
    title = page.get_by_role("heading", name=LECTURE.steps[4].title).first
    visitor.until(lambda: 0 < title.bounding_box()["y"] < WALL["height"] / 2, "the title in sight")


@pytest.mark.story(22)
def test_next_keeps_the_focus_from_step_to_step(visitor: Visitor):
    """Who reads the lecture by keyboard would search for Next anew after every step, behind up to 34 Tabs."""
    page = visitor.afresh(**WALL).open("/learn?lecture=the-paper&at=1").page
    page.get_by_role("button", name="Next").focus()
    for at, step in enumerate(LECTURE.steps[1:], start=2):
        page.keyboard.press("Enter")
        visitor.params(at=str(at))
        page.get_by_role("heading", name=step.title).first.wait_for()
        if at < len(LECTURE.steps):
            visitor.until(
                lambda: "Next" in page.evaluate("document.activeElement.innerText"), "Next in focus"
            )


def test_a_step_opened_fresh_is_the_same(visitor: Visitor):
    """The address on the wall is what people photograph."""
    found = []
    for address in ("/?present=the-paper&at=5", None):
        visitor.afresh(**WALL).open(address or found[0][0].removeprefix(visitor.url))
        found.append((visitor.page.url, visitor.page.locator('[data-testid="stMain"]').inner_text()))
    assert found[0] == found[1]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core as npm has it, fetched for the test alone."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--no-save", "--silent", "--prefix", str(folder), "axe-core@4.10.3"]
    if subprocess.run(command, capture_output=True, timeout=180).returncode:
        pytest.skip("axe-core cannot be had from npm here")
    return Path(folder, "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    ["/", "/attention", "/layers", "/answers", "/distil", "/studies", "/learn", "/?present=the-paper&at=4"],
)
@pytest.mark.story(23)
def test_everybody_can_read_it(visitor: Visitor, axe: str, path: str, scheme: str):
    """A control without a name, or grey on grey, shuts out who reads by ear or with weak eyes."""
    visitor.afresh(color_scheme=scheme, **WALL).open(path)
    visitor.page.evaluate(axe)
    found = visitor.page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        ".filter(each => ['serious', 'critical'].includes(each.impact))"
        ".map(each => [each.id, each.nodes.slice(0, 4).map(node => node.html.slice(0, 160))])"
    )
    assert found == []
