"""The record of pull requests, written by several at once."""

import threading

import pytest
from sqlalchemy import event

from hooks.db import Database
from hooks.dispatch.pulls import PASSED, PENDING, PullRequests
from hooks.forges.seams import Proposal

REPO = "workflow-registry"
MAIN, A, B = "m" * 40, "a" * 40, "b" * 40
VERDICT = {"verdict": PASSED, "report": {"findings": []}}


@pytest.fixture
def world(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    return database, PullRequests(database)


def meanwhile(database, act):
    """Let another thread do this once the row was read; it may have to wait for the reader."""
    thread = threading.Thread(target=act)

    def after(_connection, _cursor, statement, *_):
        if statement.startswith("SELECT pull_requests") and not thread.ident:
            thread.start()
            thread.join(0.5)

    event.listen(database.engine, "after_cursor_execute", after)
    return thread


def test_a_verdict_never_becomes_that_of_a_commit_that_came_in_meanwhile(world):
    database, pulls = world
    row = pulls.seen(REPO, Proposal("topic", A), MAIN)
    other = meanwhile(database, lambda: pulls.seen(REPO, Proposal("topic", B), MAIN))
    pulls.judged(row.id, (MAIN, A), VERDICT)
    other.join()
    now = pulls.get(row.id)
    assert (now.head, now.verdict, now.report) == (B, PENDING, {})


def test_a_commit_that_comes_in_is_not_judged_by_what_is_recorded_meanwhile(world):
    database, pulls = world
    row = pulls.seen(REPO, Proposal("topic", A), MAIN)
    other = meanwhile(database, lambda: pulls.judged(row.id, (MAIN, A), VERDICT))
    pulls.seen(REPO, Proposal("topic", B), MAIN)
    other.join()
    now = pulls.get(row.id)
    assert (now.head, now.verdict, now.report) == (B, PENDING, {})


def test_a_commit_and_a_request_at_once_are_two_revisions(world):
    """Each revision has a flow of its own: with one number, one of them would never be judged."""
    database, pulls = world
    row = pulls.seen(REPO, Proposal("topic", A), MAIN)
    other = meanwhile(database, lambda: pulls.judge_again(row.id))
    pulls.seen(REPO, Proposal("topic", B), MAIN)
    other.join()
    assert pulls.get(row.id).revision == row.revision + 2
