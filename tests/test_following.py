"""The room follows: who leads, what followers see, and that the room is counted without names."""

import threading

import pytest

from kdviz.errors import RequestError
from kdviz.jobs import following
from kdviz.jobs.following import MAX_SEATS, Following, shared
from kdviz.jobs.permissions import Visitor

LECTURER = Visitor(owner="a" * 32, is_presenter=True)
COLLEAGUE = Visitor(owner="b" * 32, is_presenter=True)


def guest(number: int = 0) -> Visitor:
    return Visitor(owner=f"guest{number}")


def test_only_a_holder_of_the_code_leads():
    """Any phone in the room could else throw its own page onto two hundred others."""
    room = Following()
    for action in (
        lambda: room.lead(guest(), "attention", {}),
        lambda: room.end(guest()),
        lambda: room.put(guest(), "q", 2),
        lambda: room.reveal(guest(), "q"),
    ):
        with pytest.raises(RequestError, match="presenter's code"):
            action()
    assert room.now[0] is None and room.version == 0 and not room.is_led


def test_followers_see_each_change_and_no_repetition():
    """A version that grows without a change makes two hundred pages draw again for nothing; one that does not
    grow leaves them behind.
    """
    room = Following()
    room.lead(LECTURER, "attention", {"run": "one"})
    assert (room.version, room.now[0].page, dict(room.now[0].params)) == (1, "attention", {"run": "one"})
    room.lead(LECTURER, "attention", {"run": "one"})
    assert room.version == 1
    room.lead(LECTURER, "attention", {"run": "one", "head": "2"})
    assert room.version == room.now[0].version == 2


def test_a_second_holder_takes_over_only_when_asked():
    """Two presenters who both lead make the room jump between two views."""
    room = Following()
    room.lead(LECTURER, "start", {})
    with pytest.raises(RequestError, match="take over"):
        room.lead(COLLEAGUE, "layers", {})
    room.lead(COLLEAGUE, "layers", {}, take_over=True)
    assert room.is_led_by(COLLEAGUE) and not room.is_led_by(LECTURER)
    assert not room.is_led_by(Visitor(owner=COLLEAGUE.owner)), "the code was changed meanwhile"


def test_the_end_is_told():
    """Followers who wait for a presenter who has left would look at a page that never moves; and what they
    were looking at, counts included, would be gone in the middle of a sentence.
    """
    room = Following()
    room.lead(LECTURER, "start", {"run": "one"})
    for name in ("shown", "open"):
        room.put(LECTURER, name, 2)
        room.answer(guest(), name, 1)
    room.reveal(LECTURER, "shown")
    before = room.version
    room.end(LECTURER)
    shown, version = room.now
    assert not room.is_led and shown.version == version > before
    assert shown.is_last and (shown.page, dict(shown.params)) == ("start", {"run": "one"})
    assert room.counts("shown") == (0, 1) and not room.is_put("open")
    room.lead(COLLEAGUE, "start", {"run": "one"})
    assert not room.now[0].is_last and room.version > version and room.counts("shown") == ()


def test_a_question_counts_each_browser_once_and_closes_with_the_answer():
    """Counts that grow with every click, or after the answer was shown, are no opinion of the room."""
    room = Following()
    with pytest.raises(RequestError, match="not open"):
        room.answer(guest(), "q", 0)
    room.put(LECTURER, "q", 3)
    for number, choice in ((0, 0), (1, 2), (2, 2), (0, 1)):
        room.answer(guest(number), "q", choice)
    assert room.counts("q") == (0, 1, 2) and room.choice_of(guest(0), "q") == 1
    for choice in (-1, 3):
        with pytest.raises(RequestError, match="expected a choice"):
            room.answer(guest(), "q", choice)
    room.put(LECTURER, "q", 3)
    assert sum(room.counts("q")) == 3, "putting it again keeps the answers"
    room.reveal(LECTURER, "q")
    with pytest.raises(RequestError, match="not open"):
        room.answer(guest(9), "q", 0)
    assert room.counts("q") == (0, 1, 2) and room.counts("other") == ()


def test_it_knows_no_names():
    """Whatever is kept of a follower must not lead back to the browser or its runs."""
    room = Following()
    room.put(LECTURER, "q", 2)
    room.answer(guest(7), "q", 1)
    assert "guest7" not in repr(vars(room)) + repr(vars(room._questions["q"]))
    other = Following()
    assert room._seat(guest(7)) != other._seat(guest(7)), "another server gives another digest"


def test_memory_is_bounded(monkeypatch):
    """A script that opens the page over and over must not grow the server."""
    monkeypatch.setattr(following, "MAX_SEATS", 5)
    monkeypatch.setattr(following, "MAX_QUESTIONS", 3)
    room = Following()
    for number in range(20):
        room.seen(f"window{number}", 5.0)
        room.put(LECTURER, f"q{number}", 2)
    assert len(room.windows) == 5 and list(room._questions) == ["q17", "q18", "q19"]
    for number in range(5):
        room.answer(guest(number), "q19", 0)
    with pytest.raises(RequestError, match="takes no more"):
        room.answer(guest(9), "q19", 0)
    with pytest.raises(RequestError, match="too large"):
        room.lead(LECTURER, "attention", {"text": "x" * 7000})
    assert MAX_SEATS >= 200


def test_followers_who_left_are_not_counted():
    """ "200 follow" in an empty room."""
    clock = [100.0]
    room = Following(lambda: clock[0])
    room.seen("one", 5.0)
    clock[0] += 9
    room.seen("two", 5.0)
    assert room.windows == ("one", "two")
    clock[0] += 9
    assert room.windows == ("two",)


def test_a_large_room_asks_less_often_and_is_still_there():
    """The questions of two hundred windows would take the time in which the next step is drawn; one that asks
    seldom would be taken for one that has left, and not be told.
    """
    clock = [100.0]
    room = Following(lambda: clock[0])
    for _ in range(2):
        for number in range(200):
            room.seen(f"window{number}", room.pace(5.0))
    assert room.pace(5.0) > 10
    clock[0] += 2 * room.pace(5.0)
    assert len(room.windows) == 200


def test_what_is_shown_and_its_version_are_read_as_one():
    """A window that took the last step for the newest version would wait for a next one to see this."""
    room, is_over = Following(), threading.Event()
    torn = []

    def look() -> None:
        while not is_over.is_set():
            shown, version = room.now
            if shown is not None and shown.version != version:
                torn.append(version)

    looker = threading.Thread(target=look)
    looker.start()
    for number in range(2000):
        room.lead(LECTURER, "attention", {"at": str(number)})
    is_over.set()
    looker.join(30)
    assert not torn


def test_many_threads_lose_no_answer():
    """Each session is a thread of its own."""
    room = Following()
    room.put(LECTURER, "q", 2)

    def answer(start: int) -> None:
        for number in range(start, start + 50):
            room.answer(guest(number), "q", number % 2)

    threads = [threading.Thread(target=answer, args=(50 * place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert room.counts("q") == (200, 200)


def test_there_is_one_in_a_process():
    """Two objects would be two rooms: half the phones would follow nobody."""
    assert shared() is shared()
