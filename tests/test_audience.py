"""The larger the room, the less often each window asks: the server's work stays bounded."""

import pytest

from kdviz.jobs.audience import NEWS_A_SECOND, Audience, is_another


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("num_windows", [1, 15, 30, 200, 2000])
def test_a_room_asks_so_often_and_no_more(num_windows: int) -> None:
    """Two hundred windows every two seconds are a hundred pages a second: no click would get through."""
    clock = Clock()
    audience, paces = Audience(clock), dict.fromkeys((f"w{number}" for number in range(num_windows)), 2.0)
    for window, pace in paces.items():  # all come at once
        audience.seen(window, pace)
    paces = {window: audience.pace(2.0) for window in paces}
    asked = sum(1 / pace for pace in paces.values())
    assert asked <= NEWS_A_SECOND * 1.001
    assert min(paces.values()) >= 2.0


def test_who_has_left_slows_nobody() -> None:
    """A seminar that has gone home would leave its lecturer with news every quarter of a minute."""
    clock = Clock()
    audience = Audience(clock)
    for number in range(200):
        audience.seen(f"w{number}", 2.0)
    assert audience.pace(2.0) > 10
    clock.now = 7.0
    assert audience.pace(2.0) == 2.0


def test_a_slow_window_is_not_taken_for_gone() -> None:
    """In a room of 200 each asks every 13 s: counted over less, the room would seem empty, and speed up."""
    clock = Clock()
    audience = Audience(clock)
    for turn in range(3):
        clock.now = 13.3 * turn
        for number in range(200):
            audience.seen(f"w{number}", 13.3)
        clock.now += 13.0
        assert audience.pace(2.0) > 10


def test_the_page_is_drawn_anew_for_another_pace_alone() -> None:
    """Without it a visitor who comes or goes would have every window drawn anew."""
    assert is_another(4.0, 2.0) and is_another(2.0, 13.0)
    assert not is_another(2.2, 2.0) and not is_another(13.0, 12.0)
