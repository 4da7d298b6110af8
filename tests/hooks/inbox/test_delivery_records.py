"""Old deliveries go, by state and age; all others stay."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from hooks.db.tables import Delivery
from hooks.inbox import records
from hooks.inbox.records import DeliveryRecords


@pytest.fixture
def ids(database):
    def read() -> set[str]:
        with database.session() as session:
            return set(session.scalars(select(Delivery.id)))

    return read


def test_what_was_over_long_ago_goes(database, inbox, clock, ids):
    for days in (100, 91, 89, 31, 29):
        for state in ("RECEIVED", "HANDLED", "IGNORED", "FAILED"):
            at = clock.now - timedelta(days=days)
            with database.session() as session:
                session.add(
                    Delivery(
                        id=f"{state}-{days}",
                        source="git",
                        repository="r",
                        body=b"{}",
                        state=state,
                        received_at=at,
                        handled_at=at if days != 91 else None,  # of before it was written down
                    )
                )
    assert inbox.prune() == 10
    received = {f"RECEIVED-{days}" for days in (100, 91, 89, 31, 29)}
    assert ids() == received | {"HANDLED-29", "IGNORED-29"} | {
        f"FAILED-{days}" for days in (89, 31, 29)
    }
    assert inbox.prune() == 0


def test_they_go_in_batches(database, inbox, clock, ids, monkeypatch):
    monkeypatch.setattr(records, "_AT_ONCE", 3)
    for number in range(10):
        inbox.accept(f"d{number}", "git", "r", {})
    inbox.handle_pending(lambda *_: "")
    clock.go_on(days=31)
    inbox.accept("new", "git", "r", {})
    assert inbox.prune() == 10
    assert ids() == {"new"}


def test_a_pruned_one_may_come_again(inbox, clock):
    inbox.accept("d", "git", "r", {})
    inbox.handle_pending(lambda *_: "")
    clock.go_on(days=31)
    inbox.prune()
    assert inbox.accept("d", "git", "r", {})


def test_all_that_failed_are_taken_up_or_those_of_a_repository(database, inbox, clock):
    found = DeliveryRecords(database)
    for repository in ("a", "b"):
        inbox.accept(repository, "git", repository, {})
    for _ in range(5):
        inbox.handle_pending(lambda *_: {}["x"])
        clock.go_on(minutes=1)
    assert found.replay_failed("a") == ["a"]
    assert found.replay_failed() == ["b"]
    assert found.replay_failed() == []
