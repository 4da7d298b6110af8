"""The same on PostgreSQL: stored once, in order, one process to a lane, and locks that die."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hooks.db import Database
from hooks.db.tables import Base, Delivery
from hooks.engine.locks import AdvisoryLocks
from hooks.inbox import Accepted, Inbox


def _program(name: str) -> str:
    """Debian keeps the server's programs out of the search path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join(map(str, folders))) or shutil.which(name)
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no program {name!r}")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of this module's own, on a socket in its folder; a URL."""
    initdb, postgres = _program("initdb"), _program("postgres")
    who = {"user": "postgres", "group": "postgres", "extra_groups": []}
    who = who if os.getuid() == 0 else {}  # it refuses to run as root
    # not below pytest's folder, which is its user's alone and too long for a socket
    with tempfile.TemporaryDirectory(prefix="waas-pg-") as folder:
        if who:
            shutil.chown(folder, "postgres", "postgres")
        initialize = [initdb, "-D", f"{folder}/data", "-A", "trust", "-U", "waas", "--no-sync"]
        subprocess.run(initialize, check=True, capture_output=True, cwd="/", **who)
        serve = [postgres, "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses="]
        process = subprocess.Popen(serve, stderr=subprocess.DEVNULL, cwd="/", **who)
        url = f"postgresql+psycopg://waas@/postgres?host={folder}"
        try:
            _wait_for(url)
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # ends sessions too
            process.wait(30)


def _wait_for(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    for _ in range(3000):
        try:
            engine.connect().close()
            return
        except sa.exc.OperationalError:
            threading.Event().wait(0.01)
    pytest.fail("the server does not start")


@pytest.fixture
def url(server: str) -> str:
    engine = sa.create_engine(server)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    engine.dispose()
    return server


@pytest.fixture
def databases(url: str) -> Iterator[list[Database]]:
    """Two, as two processes have them."""
    made = [Database(url), Database(url)]
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


def test_a_lock_is_free_when_its_session_ends_and_its_holder_notices(url):
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
