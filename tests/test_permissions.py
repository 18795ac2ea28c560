"""Who may do what."""

import itertools
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdviz.errors import RequestError
from kdviz.jobs.permissions import Permissions, Visitor, new_secret, owner_of, owns
from kdviz.jobs.presenter_code import give_code


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """No wrong codes yet; the time goes on when a test says so."""
    monkeypatch.delitem(sys.__dict__, "_kdviz_wrong_codes", raising=False)
    clock = Clock()
    monkeypatch.setattr("kdviz.jobs.presenter_code.time.monotonic", clock)
    yield clock
    sys.__dict__.pop("_kdviz_wrong_codes", None)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


ACTIONS = ("start", "resume", "stop", "delete")


def visitor(secret: bytes = b"a" * 16, environment: dict | None = None) -> Visitor:
    return Visitor.of(secret, environment or {})


def config_of(one: Visitor) -> dict:
    return {"task": "cola", "owner": one.owner}


def test_a_run_is_its_owners():
    """Otherwise any of thirty viewers could delete the lecturer's run with one click."""
    mine, theirs, permissions = visitor(b"a" * 16), visitor(b"b" * 16), Permissions.from_environment({})
    for action in ("resume", "stop", "delete"):
        assert permissions.refusal(action, mine, config_of(mine)) is None
        assert "Only the browser" in permissions.refusal(action, theirs, config_of(mine))
        assert "command line" in permissions.refusal(action, mine, {"task": "cola"})
    assert permissions.refusal("start", theirs) is None


@pytest.mark.parametrize("owner", [None, "", 0, [], {"a": 1}, "é", "x" * 32])
def test_a_damaged_owner_is_nobodys(owner):
    """A hand-edited or damaged config.json must neither raise nor give the run to everybody."""
    assert not owns(visitor(), {"owner": owner})


@pytest.mark.parametrize(
    ("value", "shows"),
    [("1", True), ("yes", True), ("?", True), ("0", False), ("false", False), (" Off ", False)],
)
def test_a_switch_means_what_it_says(value, shows):
    """KDVIZ_READ_ONLY=false once closed the server, and nobody could see why."""
    assert Permissions.from_environment({"KDVIZ_READ_ONLY": value}).read_only is shows


def test_read_only_refuses_everything_and_everybody():
    """The switch of a public server: a single action that forgot to ask would open it."""
    environment = {"KDVIZ_READ_ONLY": "1", "KDVIZ_PRESENTER_CODE": "blue"}
    one = visitor()
    give_code(one, "blue", environment)
    for action in ACTIONS:
        with pytest.raises(RequestError, match="only shows runs"):
            Permissions.from_environment(environment).require(
                action, Visitor.of(b"a" * 16, environment), config_of(one)
            )


def test_the_code_opens_and_only_the_code(clock):
    """With a code set, owning a run is not enough; with it given, the presenter may act on every run."""
    environment = {"KDVIZ_PRESENTER_CODE": "blue whale"}
    permissions, secret = Permissions.from_environment(environment), new_secret()
    one = Visitor.of(secret, environment)
    assert all(permissions.refusal(action, one, config_of(one)) for action in ACTIONS)
    for wrong in ("", "blue", "blue whale.", "BLUE WHALE", "\ud800", "x" * 10_000):
        clock.now += 1000
        assert not give_code(one, wrong, environment) and not Visitor.of(secret, environment).is_presenter
    clock.now += 1000
    assert give_code(one, " blue whale ", environment)
    again = Visitor.of(secret, environment)
    assert all(
        permissions.refusal(action, again, config_of(visitor(b"b" * 16))) is None for action in ACTIONS
    )
    assert not Visitor.of(new_secret(), environment).is_presenter
    assert not Visitor.of(secret, {"KDVIZ_PRESENTER_CODE": "another"}).is_presenter, (
        "a changed code is asked for again"
    )


def test_no_code_set_makes_no_presenter():
    """An empty setting must not match an empty entry."""
    for environment in ({}, {"KDVIZ_PRESENTER_CODE": ""}, {"KDVIZ_PRESENTER_CODE": "  "}):
        assert (
            not give_code(visitor(), "", environment)
            and not Permissions.from_environment(environment).needs_code
        )


CODE = {"KDVIZ_PRESENTER_CODE": "right secret"}


def guesses_in(seconds: float, clock: Clock, addresses) -> int:
    """How many codes a guesser can try in that time, one every tenth of a second from the next address."""
    tried, end = 0, clock.now + seconds
    while clock.now < end:
        clock.now += 0.1
        try:
            assert not give_code(visitor(new_secret()), "wrong", CODE, address=next(addresses))
            tried += 1
        except RequestError as error:
            assert "try again in" in str(error)
    return tried


def test_guessing_is_slow_however_many_sessions_guess(clock):
    """Half a second for each session is nothing for who opens a thousand: a room's code has four digits."""
    assert guesses_in(600, clock, itertools.repeat("10.0.0.7")) < 15, "one address, any number of sessions"
    clock.now += 3600
    assert guesses_in(600, clock, (f"10.0.{n // 250}.{n % 250}" for n in itertools.count())) < 90, "many"


def test_a_slip_of_the_presenter_costs_seconds_and_a_guesser_elsewhere_not_more(clock):
    """Slowing must not become the way to lock the lecturer out of their own lecture."""
    for _ in range(2):
        assert not give_code(visitor(), "wrong", CODE, address="desk")
        clock.now += 1
    assert give_code(visitor(), "right secret", CODE, address="desk")
    guesses_in(300, clock, itertools.repeat("10.0.0.7"))
    begin = clock.now
    while True:
        try:
            assert give_code(visitor(new_secret()), "right secret", CODE, address="hall")
            break
        except RequestError:
            clock.now += 1
    assert clock.now - begin <= 10
    clock.now += 3600
    assert not give_code(visitor(), "wrong", CODE, address="10.0.0.7"), "after a while it is forgotten"


def test_wrong_codes_are_logged_with_their_address(clock, caplog):
    """Who runs the server has to see that somebody guesses, and from where."""
    guesses_in(5, clock, itertools.repeat("10.0.0.7"))
    assert "10.0.0.7" in caplog.text and "3 from there" in caplog.text


def test_a_too_early_try_is_refused_unread(clock):
    """Were the right code taken during a pause, the pause would slow nobody."""
    guesses_in(2, clock, itertools.repeat("10.0.0.7"))
    with pytest.raises(RequestError, match="try again"):
        give_code(visitor(new_secret()), "right secret", CODE, address="10.0.0.7")


def test_the_code_is_never_logged(caplog):
    """A log file is copied into reports and tickets."""
    with caplog.at_level(logging.DEBUG):
        give_code(visitor(), "wrong secret", {"KDVIZ_PRESENTER_CODE": "right secret"})
        give_code(visitor(), "right secret", {"KDVIZ_PRESENTER_CODE": "right secret"})
    assert "secret" not in caplog.text


def test_the_owner_in_a_file_is_not_the_secret():
    """config.json is shown, copied and put into reports: who reads it must not become the owner."""
    secret = new_secret()
    written = json.dumps(config_of(visitor(secret)))
    assert (
        secret.hex() not in written
        and owner_of(bytes.fromhex(visitor(secret).owner)) != visitor(secret).owner
    )


@given(
    st.dictionaries(
        st.sampled_from(["KDVIZ_READ_ONLY", "KDVIZ_PRESENTER_CODE"]),
        st.text(max_size=30),
    )
)
def test_no_environment_breaks_the_server(environment):
    """A typing slip in a setting must leave a working, no less careful server."""
    Permissions.from_environment(environment)
