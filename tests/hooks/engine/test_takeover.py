"""Who takes over: nobody from the living, also when the database forgot who holds what."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci.errors import SettingsError
from hooks.db import Database
from hooks.engine import takeover
from hooks.engine.takeover import Takeover


class Watch:
    """What a worker saw: how often it looked after others, and from whom it took over."""

    def __init__(self) -> None:
        self.looks, self.taken = 0, []
        self.names: list[str] = []

    def others(self) -> list[str]:
        self.looks += 1
        return self.names


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(takeover, "AGAIN_SECONDS", 0.02)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "sqlite":
        return Database(f"sqlite:///{tmp_path}/waas.db").url
    return Database(request.getfixturevalue("postgresql_url")).url


@pytest.fixture
def worker() -> Iterator[Callable[..., Takeover]]:
    made: list[Takeover] = []

    def make(url: str, name: str, watch: Watch) -> Takeover:
        made.append(Takeover(url, name, others=watch.others, recover=watch.taken.append))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def until(true: Callable[[], Any]) -> None:
    for _ in range(3000):
        if true():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not happen")


def test_it_takes_over_from_one_that_is_gone_and_not_from_one_that_lives(url, worker):
    watch = Watch()
    watch.names = ["one", "two"]
    one, two = worker(url, "one", Watch()), worker(url, "two", watch)
    for each in (one, two):
        each.claim()
        each.watch()
    until(lambda: watch.looks >= 5)
    assert watch.taken == []
    one.stop()
    until(lambda: watch.taken)
    assert set(watch.taken) == {"one"}


def test_a_name_is_taken_until_its_worker_stops(url, worker):
    first, second = worker(url, "one", Watch()), worker(url, "one", Watch())
    first.claim()
    first.watch()
    with pytest.raises(SettingsError, match="'one' is already running"):
        second.claim(patience_seconds=0)
    first.stop()
    second.claim()


def test_a_database_that_comes_back_makes_nobody_take_over_from_the_living(own_postgresql, worker):
    url, watches = Database(own_postgresql.url()).url, [Watch(), Watch()]
    for name, watch in zip(("one", "two"), watches, strict=True):
        watch.names = ["one", "two"]
        made = worker(url, name, watch)
        made.claim()
        made.watch()
    for end in (own_postgresql.stop, own_postgresql.kill) * 2:
        until(lambda: all(watch.looks for watch in watches))
        end()
        own_postgresql.start()
        for watch in watches:
            watch.looks = 0
        until(lambda: all(watch.looks >= 5 for watch in watches))
    assert [watch.taken for watch in watches] == [[], []]
    with pytest.raises(SettingsError, match="already running"):
        worker(url, "one", Watch()).claim(patience_seconds=0)
