"""Deliveries are kept before they are answered, handled once, and never block each other."""

import pytest

from ci.errors import EntryError, SiteError
from hooks.db import Database
from hooks.db.tables import Delivery
from hooks.inbox import ATTEMPTS, Inbox


@pytest.fixture
def database(tmp_path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/waas.db")
    made.migrate()
    return made


@pytest.fixture
def inbox(database) -> Inbox:
    return Inbox(database)


def state_of(database: Database, name: str) -> tuple[str, str]:
    with database.session() as session:
        row = session.query(Delivery).filter_by(id=name).one()
        return row.state, row.reason


def test_a_delivery_is_handled_once_however_often_it_comes(inbox):
    seen = []
    assert inbox.accept("d1", "git", "registry", {"ref": "a"}) is True
    assert inbox.accept("d1", "git", "registry", {"ref": "a"}) is False
    inbox.handle_pending(lambda registry, event: seen.append((registry, event["ref"])) or "")
    assert inbox.accept("d1", "git", "registry", {"ref": "a"}) is False
    inbox.handle_pending(lambda registry, event: seen.append("again") or "")
    assert seen == [("registry", "a")]


def test_it_survives_the_process_that_accepted_it(tmp_path, inbox):
    inbox.accept("d1", "git", "registry", {"ref": "a"})
    seen = []
    other = Inbox(Database(f"sqlite:///{tmp_path}/waas.db"))
    other.handle_pending(lambda _, event: seen.append(event) or "")
    assert seen == [{"ref": "a"}]


def test_they_are_handled_in_the_order_they_came(inbox):
    for name in "cab":
        inbox.accept(name, "git", "r", {"n": name})
    seen = []
    inbox.handle_pending(lambda _, event: seen.append(event["n"]) or "")
    assert seen == ["c", "a", "b"]


def test_an_ignored_one_says_why(inbox, database):
    inbox.accept("d", "git", "r", {})
    inbox.handle_pending(lambda *_: "only branches are looked at")
    assert state_of(database, "d") == ("IGNORED", "only branches are looked at")


def test_a_bad_one_is_set_aside_and_the_next_goes_on(inbox, database):
    inbox.accept("bad", "git", "r", {"n": 1})
    inbox.accept("good", "git", "r", {"n": 2})

    def handler(_registry, event):
        if event["n"] == 1:
            raise EntryError("no such thing")
        return ""

    inbox.handle_pending(handler)
    assert state_of(database, "bad") == ("FAILED", "no such thing")
    assert state_of(database, "good")[0] == "HANDLED"


def test_a_failed_one_is_taken_up_again_when_it_is_delivered_again(inbox, database):
    inbox.accept("d", "git", "r", {})

    def fails(*_):
        raise EntryError("no")

    inbox.handle_pending(fails)
    assert inbox.accept("d", "git", "r", {}) is True
    inbox.handle_pending(lambda *_: "")
    assert state_of(database, "d")[0] == "HANDLED"


def test_trouble_in_the_world_is_tried_again_a_few_times(inbox, database):
    inbox.accept("d", "git", "r", {})

    def away(*_):
        raise SiteError("the forge is away", transient=True)

    for attempt in range(1, ATTEMPTS + 1):
        assert state_of(database, "d")[0] == "RECEIVED", attempt
        inbox.handle_pending(away)
    assert state_of(database, "d") == ("FAILED", "the forge is away")


def test_the_database_file_can_be_read_by_its_owner_alone(tmp_path, database):
    assert (tmp_path / "waas.db").stat().st_mode & 0o777 == 0o600
