"""How many deliveries a second the inbox takes in, durably, and hands to a handler.

Prints figures, asserts none. SQLite as the service uses it: write-ahead log, synchronous=FULL.
"""

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hooks.db import Database
from hooks.db.tables import now
from hooks.inbox import Inbox, rows

THREADS = 32
EACH = 1_000
EVENT = {"event": "push", "ref": "refs/heads/topic", "pusher": "ada"}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/waas.db")
    made.migrate()
    return made


def from_threads(act: Callable[[int], None]) -> float:
    """Seconds until all threads have acted."""
    together = threading.Barrier(THREADS + 1)

    def run(number: int) -> None:
        together.wait()
        act(number)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    together.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


@pytest.mark.parametrize("repeated", [1, 4], ids=["each once", "each four times"])
def test_accept(database: Database, repeated: int) -> None:
    inbox = Inbox(database)
    took: list[float] = []

    def accept(thread: int) -> None:
        mine = []
        for number in range(EACH):
            name = f"{thread % (THREADS // repeated)}-{number}"
            begun = time.perf_counter()
            inbox.accept(name, "git", f"r{thread % 4}", EVENT)
            mine.append(time.perf_counter() - begun)
        took.extend(mine)

    seconds = from_threads(accept)
    inbox.stop()
    rate, p99 = THREADS * EACH / seconds, statistics.quantiles(took, n=100)[98]
    print(f"\naccept, ids {repeated} times: {rate:,.0f}/s, p99 {p99 * 1000:.1f} ms")


@pytest.mark.parametrize("lanes", [1, 4])
def test_handle(database: Database, lanes: int) -> None:
    inbox = Inbox(database)
    count = 2_000
    from_threads(
        lambda thread: [
            inbox.accept(f"{thread}-{n}", "git", f"r{n % lanes}", EVENT)
            for n in range(count // THREADS)
        ]
    )
    left = threading.Semaphore(0)
    worker = threading.Thread(target=inbox.run, args=(lambda *_: left.release() or "",))
    begun = time.perf_counter()
    worker.start()
    for _ in range(count // THREADS * THREADS):
        left.acquire()
    seconds = time.perf_counter() - begun
    inbox.stop()
    worker.join()
    print(f"\nhandle, {lanes} lanes: {count / seconds:,.0f}/s")


def test_look(database: Database) -> None:
    """What a poll costs while much waits."""
    inbox = Inbox(database)
    from_threads(
        lambda thread: [
            inbox.accept(f"{thread}-{n}", "git", f"r{n % 4}", EVENT) for n in range(300)
        ]
    )
    inbox.stop()
    begun = time.perf_counter()
    for _ in range(100):
        with database.engine.connect() as connection:
            rows.lanes(connection, now())
    milliseconds = (time.perf_counter() - begun) * 1000 / 100
    print(f"\na look with {THREADS * 300:,} waiting in 4 lanes: {milliseconds:.2f} ms")
