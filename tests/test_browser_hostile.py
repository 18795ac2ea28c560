"""A run whose every text is markup, in a real browser: nothing is asked of another host, and nothing is drawn
but text. And the frame on a phone and at a mistyped address.
"""

from collections.abc import Iterator

import pytest
from browsing import IN_A_BROWSER, Visitor, serve
from hostile import ELSEWHERE, make_marked_up

pytestmark = IN_A_BROWSER

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
def test_texts_of_a_run_stay_texts(view: str, visitor: Visitor):
    """A status with an image link made the browser of every viewer ask another host."""
    visitor.open(f"{view}{'&' if '?' in view else '?'}run=marked-up")
    for more in visitor.page.get_by_role("button", name="More").all()[:1]:
        more.click()
        visitor.rest()
    found = visitor.page.evaluate(DRAWN)
    assert ELSEWHERE in found["text"], "the texts are shown, as texts"
    assert not [fault for fault in visitor.faults if ELSEWHERE in fault], "no request of theirs"
    assert not [url for url in found["links"] + found["pictures"] if ELSEWHERE in url]
    assert "home icon" not in found["icons"]
    assert "😄" not in found["text"]


def test_a_mistyped_page_says_so(visitor: Visitor):
    """It fell to the first page without a word."""
    page = visitor.page
    page.goto(f"{visitor.url}/Attention")
    page.get_by_text("There is no page Attention here").wait_for()
    visitor.rest()
    page.keyboard.press("Escape")  # Streamlit's own box, which names no page
    page.get_by_text("Open Attention").click()
    page.wait_for_url("**/attention*")
    visitor.rest()
    assert page.get_by_text("There is no page").count() == 0


def test_a_phone_has_a_named_menu(visitor: Visitor):
    """Streamlit's own navigation is an unlabelled arrow there, read as "Expand sidebar"."""
    page = visitor.afresh(width=390, height=844).page
    page.goto(visitor.url)
    menu = page.get_by_test_id("stPopover").get_by_text("Menu", exact=True)
    menu.wait_for()
    visitor.rest()
    menu.click()
    page.get_by_test_id("stPageLink").get_by_text("Layers").click()
    page.wait_for_url("**/layers*")
    visitor.rest()
    assert page.get_by_label("Expand sidebar").count() == 0
