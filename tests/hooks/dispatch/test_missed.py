"""Webhooks that never came are stored like those that did, and once."""

import pytest

from ci.errors import SiteError
from hooks.db import Database
from hooks.dispatch.missed import Missed
from hooks.forges.marks import Marks
from hooks.forges.seams import MissedDelivery

REPO = "workflow-registry"


class FakeOutbox:
    def __init__(self):
        self.asked = []

    def missed(self, since):
        self.asked.append(since)
        found = [MissedDelivery(f"g{n}", "push", {"event": "push"}) for n in (1, 2)]
        return (found, "7") if since != "7" else ((), "7")


class FakeInbox:
    def __init__(self):
        self.stored, self.full = [], False

    def accept(self, id, source, repository, event):
        if self.full and len(self.stored) == 1:
            raise SiteError("full", transient=True)
        self.stored.append((id, source, repository, event["event"]))


@pytest.fixture
def parts(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    outbox, inbox = FakeOutbox(), FakeInbox()
    return outbox, inbox, Missed({REPO: outbox}, Marks(database), inbox)


def test_they_are_stored_and_not_asked_for_again(parts):
    outbox, inbox, missed = parts
    assert missed.collect(REPO) == 2
    assert [row[0] for row in inbox.stored] == ["g1", "g2"]
    assert {row[1] for row in inbox.stored} == {"github-missed"}
    assert missed.collect(REPO) == 0
    assert outbox.asked == ["", "7"]


def test_the_mark_moves_only_when_all_are_stored(parts):
    outbox, inbox, missed = parts
    inbox.full = True
    with pytest.raises(SiteError):
        missed.collect(REPO)
    inbox.full = False
    assert missed.collect(REPO) == 2
    assert outbox.asked == ["", ""]


def test_a_forge_without_a_record_misses_nothing_that_way(parts):
    assert parts[2].collect("software-catalog") == 0
