"""A run whose every text is markup, in a real browser: nothing is asked of another host, and nothing is drawn
but text. And the frame on a phone and at a mistyped address.
"""

from collections.abc import Iterator

import pytest
from browsing import IN_A_BROWSER, PATIENCE_SECONDS, come_to_rest, serve
from hostile import ELSEWHERE, make_marked_up

pytestmark = IN_A_BROWSER
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

VIEWS = (
    "/",
    "/distil",
    "/attention",
    "/layers?show=partners",
    "/answers",
    "/answers?show=inside&row=3",
    "/answers?show=mistakes",
    "/answers?show=runs",
)
DRAWN = """() => ({
  links: [...document.querySelectorAll('a[href]')].map(each => each.href),
  pictures: [...document.querySelectorAll('img')].map(each => each.src),
  icons: [...document.querySelectorAll('[data-testid=stMarkdownContainer] [role=img]')]
    .map(each => each.getAttribute('aria-label')),
  text: document.body.innerText,
})"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    runs = tmp_path_factory.mktemp("hostile") / "runs"
    make_marked_up(runs)
    yield from serve(runs)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.story(25)
def test_texts_of_a_run_stay_texts(view: str, server: str, browser: "sync_api.Browser"):
    """A status with an image link made the browser of every viewer ask another host."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server}{view}{'&' if '?' in view else '?'}run=marked-up")
    come_to_rest(page)
    for more in page.get_by_role("button", name="More").all()[:1]:
        more.click()
        page.wait_for_timeout(500)
    found = page.evaluate(DRAWN)
    page.close()
    assert ELSEWHERE in found["text"], "the texts are shown, as texts"
    assert not [url for url in asked if ELSEWHERE in url]
    assert not [url for url in found["links"] + found["pictures"] if ELSEWHERE in url]
    assert "home icon" not in found["icons"]
    assert "😄" not in found["text"]


def test_a_mistyped_page_says_so(server: str, browser: "sync_api.Browser"):
    """It fell to the first page without a word."""
    page = browser.new_page()
    page.goto(f"{server}/Attention")
    page.get_by_text("There is no page Attention here").wait_for(timeout=1000 * PATIENCE_SECONDS)
    come_to_rest(page)
    page.keyboard.press("Escape")  # Streamlit's own box, which names no page
    page.get_by_text("Open Attention").click(timeout=1000 * PATIENCE_SECONDS)
    page.wait_for_url("**/attention*", timeout=1000 * PATIENCE_SECONDS)
    come_to_rest(page)
    assert page.get_by_text("There is no page").count() == 0
    page.close()


def test_a_phone_has_a_named_menu(server: str, browser: "sync_api.Browser"):
    """Streamlit's own navigation is an unlabelled arrow there, read as "Expand sidebar"."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(server)
    menu = page.get_by_test_id("stPopover").get_by_text("Menu", exact=True)
    menu.wait_for(timeout=1000 * PATIENCE_SECONDS)
    come_to_rest(page)
    menu.click()
    page.get_by_test_id("stPageLink").get_by_text("Layers").click(timeout=1000 * PATIENCE_SECONDS)
    page.wait_for_url("**/layers*", timeout=1000 * PATIENCE_SECONDS)
    come_to_rest(page)
    assert page.get_by_label("Expand sidebar").count() == 0
    page.close()
