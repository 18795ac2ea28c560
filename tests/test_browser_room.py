"""A lecture and its room in a real browser: the presenter's window, followers', and a hostile lecture."""

from collections.abc import Iterator

import pytest
from browsing import IN_A_BROWSER, Visitor, serve
from test_seminar import HOSTILE

from kdviz.share.lecture import SHIPPED, read_lecture

pytestmark = IN_A_BROWSER
CODE = "blue"
LECTURE = read_lecture(SHIPPED / "the-paper.toml")
STILL = {"width": 1280, "height": 720, "reduced_motion": "reduce"}
WALL = {"viewport": {"width": 1280, "height": 720}, "reduced_motion": "reduce"}
"""Nothing plays by itself here, so that two windows may be compared at any time."""
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stored demo alone, a presenter's code, and a lecture that came from a stranger."""
    folder = tmp_path_factory.mktemp("room")
    hostile = HOSTILE.replace("alert(1)", "window.struck=1").replace("alert(2)", "window.struck=2")
    (folder / "evil.toml").write_text(hostile)
    yield from serve(folder / "runs", KDVIZ_PRESENTER_CODE=CODE, KDVIZ_LECTURES=str(folder))


@pytest.fixture(scope="module")
def presenter(browser, server: str) -> Iterator[Visitor]:
    """A window that leads the room."""
    visitor = Visitor(browser, server, **WALL).open("/?present=the-paper&at=1")
    visitor.page.get_by_role("button", name="Room").click()
    visitor.page.get_by_label("Presenter's code").fill(CODE)
    visitor.page.get_by_role("button", name="Unlock").click()
    visitor.page.get_by_role("button", name="Lead the room").click()
    visitor.page.get_by_role("button", name="Stop leading").wait_for()
    visitor.open("/?present=the-paper&at=1")
    visitor.faults.clear()  # of a request that opening the page anew cut short
    yield visitor
    assert visitor.faults == []
    visitor.page.context.close()


def test_the_room_sees_every_step_as_the_wall_does(presenter: Visitor, visitor: Visitor, server: str):
    """A phone that shows another step, or another moment of it, is worse than none. Each link, opened by
    itself later, has to give the same figures too: it is what people photograph.
    """
    follower = visitor.afresh(**STILL).open("/?follow=1")
    links = []
    for at, step in enumerate(LECTURE.steps, start=1):
        presenter.params(at=str(at))
        presenter.page.get_by_role("heading", name=step.title).first.wait_for()
        follower.page.get_by_role("heading", name=step.title).first.wait_for()
        shown = presenter.rest().figures()
        follower.rest().until(lambda shown=shown: follower.figures() == shown, f"the figures of step {at}")
        assert step.notes not in follower.page.content() and step.answer not in follower.page.content()
        links.append((presenter.page.url.removeprefix(server), shown))
        if at < len(LECTURE.steps):
            presenter.page.keyboard.press("ArrowRight")
    assert follower.faults == []
    alone = visitor.afresh(**STILL)
    for path, shown in links:
        alone.open(path)
        alone.until(lambda shown=shown: alone.figures() == shown, f"the figures of {path}")


def test_the_room_is_counted_as_it_is(presenter: Visitor, browser, server: str):
    """Windows ask seldom: by what they said last, a room that has gone home would be counted for minutes. The
    code that lets it in was cut by the box that it stands in.
    """
    phones = [Visitor(browser, server, **PHONE).open("/?follow=1") for _ in range(2)]
    presenter.open("/?present=the-paper&at=1")
    presenter.page.get_by_role("button", name="Room:").click()
    presenter.page.get_by_text("2 follow.").wait_for()
    foot = "box => document.elementFromPoint(box.left + box.width / 2, box.bottom - 3)"
    code = presenter.page.get_by_role("img", name="QR code of the room")
    assert code.evaluate(f"each => ({foot})(each.getBoundingClientRect()) === each")
    phones.pop().page.context.close()
    presenter.page.get_by_text("1 follows.").wait_for(timeout=10_000)
    phones.pop().page.context.close()
    presenter.page.get_by_text("0 follow.").wait_for(timeout=10_000)
    presenter.page.keyboard.press("Escape")


def test_a_question_goes_to_the_room_and_its_counts_come_back(presenter: Visitor, browser, server: str):
    """A count that is not the room's, or an answer seen before the vote, spoils the question."""
    at = next(place for place, step in enumerate(LECTURE.steps, start=1) if step.choices)
    step = LECTURE.steps[at - 1]
    presenter.open(f"/?present=the-paper&at={at}")
    phones = [Visitor(browser, server, **PHONE).open("/?follow=1") for _ in range(2)]
    presenter.page.get_by_role("button", name="Ask the room").click()
    for phone, choice in zip(phones, (1, 1), strict=True):
        phone.page.get_by_role("radio").nth(choice).wait_for(state="attached")
        phone.page.get_by_text(step.choices[choice]).click()
    presenter.page.get_by_text("2 answers").wait_for()
    assert step.answer[:40] not in phones[0].page.content()
    presenter.page.get_by_role("button", name="Show the room the counts").click()
    for window in (presenter, *phones):
        window.page.get_by_text("2 (100%)").first.wait_for()
        window.page.get_by_text(step.answer[:40]).first.wait_for()
    for phone in phones:
        wide = phone.page.evaluate(
            "(main => main.scrollWidth - main.clientWidth)(document.querySelector('[data-testid=stMain]'))"
        )
        assert wide <= 1 and phone.faults == []
        phone.page.context.close()


@pytest.mark.parametrize("path", ["/learn?lecture=evil", "/?present=evil&at=1"])
def test_a_hostile_lecture_runs_nothing(path: str, visitor: Visitor):
    """A lecture from the internet must run no script in thirty browsers, nor tell a stranger who watches."""
    visitor.afresh(**STILL).open(path)
    said = visitor.page.locator("[data-testid=stMain]").inner_text()
    assert "<img src=x onerror=window.struck=1>" in said and "<b>why</b>?" in said
    assert visitor.page.evaluate("window.struck") is None
    links = visitor.page.eval_on_selector_all("a", "all => all.map(each => each.getAttribute('href') || '')")
    assert not any(link.startswith("javascript:") for link in links)


def test_at_home_the_words_stand_above_the_view_on_a_phone(browser, server: str):
    """Beside each other at 390 pixels, neither text nor picture could be read."""
    phone = Visitor(browser, server, **PHONE).open("/learn?lecture=the-paper&at=2")
    title = phone.page.get_by_role("heading", name=LECTURE.steps[1].title).first.bounding_box()
    picture = phone.page.locator(".kx-figure").bounding_box()
    assert title["y"] + title["height"] < picture["y"] and picture["width"] > 300
    phone.page.context.close()
