"""The same on PostgreSQL: stored once, in order, one process to a lane, and locks that die."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from hooks.db import Database
from hooks.db.tables import Delivery
from hooks.engine.locks import AdvisoryLocks
from hooks.inbox import Accepted, Inbox


@pytest.fixture
def databases(postgresql_url: str) -> Iterator[list[Database]]:
    """Two, as two processes have them."""
    made = [Database(postgresql_url), Database(postgresql_url)]
    made[0].migrate()
    yield made
    for database in made:
        database.engine.dispose()


def test_many_threads_of_two_services_store_the_same_once(databases):
    inboxes = [Inbox(database) for database in databases]
    together, answers = threading.Barrier(16), []

    def send(thread: int) -> None:
        together.wait()
        names = [f"d{number}" for number in range(40)]
        inbox = inboxes[thread % 2]
        names = names if thread % 3 else names[::-1]
        answers.extend(inbox.accept(name, "git", "r", {"event": "push"}) for name in names)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 640
    assert answers.count(Accepted.NEW) == 40
    assert set(answers) == {Accepted.NEW, Accepted.KNOWN}


def test_order_fates_and_what_is_tried_again(databases):
    inbox = Inbox(databases[0])
    for number in range(30):
        inbox.accept(f"d{number}", "git", f"r{number % 2}", {"n": number})
    seen = []

    def handler(_, event):
        seen.append(event["n"])
        if event["n"] == 7:
            raise KeyError("a\x00b")
        return ""

    inbox.handle_pending(handler)
    assert seen == [*range(0, 30, 2), *range(1, 30, 2)]
    with databases[0].session() as session:
        states = dict(session.execute(sa.select(Delivery.id, Delivery.state)).all())
        session.execute(sa.update(Delivery).where(Delivery.id == "d7").values(state="FAILED"))
    assert states.pop("d7") == "RECEIVED"
    assert set(states.values()) == {"HANDLED"}
    assert inbox.accept("d7", "git", "r1", {"n": 7}) is Accepted.AGAIN
    assert inbox.replay("d8")
    assert inbox.handle_pending(lambda *_: "") == 2
    assert inbox.prune() == 0


def test_two_services_are_not_in_one_lane(databases):
    one, other = (Inbox(database) for database in databases)
    one.accept("d", "git", "r", {})
    tried = []
    one.handle_pending(lambda *_: tried.append(other.handle_pending(lambda *_: "")) or "")
    assert tried == [0]
    one.accept("e", "git", "r", {})
    assert other.handle_pending(lambda *_: "") == 1


def test_a_lock_is_free_when_its_session_ends_and_its_holder_notices(databases):
    url = databases[0].url
    one, other = AdvisoryLocks(url), AdvisoryLocks(url)
    for name in ("w", "", "ü" * 200, "\ud800"):
        assert one.take(name)
        assert one.take(name)
        assert not other.take(name)
    one.release("w")
    assert other.take("w")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ended = "select pg_terminate_backend(:pid)"
        pid = one._connection.connection.driver_connection.info.backend_pid
        connection.execute(sa.text(ended), {"pid": pid})
    engine.dispose()
    while not other.take(""):  # the server takes a moment
        threading.Event().wait(0.01)
    assert not one.take("")
    assert one.take("\ud800")
    one.release("\ud800")
    for locks in (one, other):
        locks.close()
