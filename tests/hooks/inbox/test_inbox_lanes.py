"""One repository in order, several side by side, and a bounded number of threads for them."""

import threading
from collections import defaultdict

import pytest

from ci.errors import EntryError, SiteError
from hooks.inbox import Inbox
from hooks.inbox.lanes import AT_ONCE
from hooks.inbox.spells import LONGEST

PATIENCE = 30  # seconds after which a test that hangs has failed


@pytest.fixture
def run():
    """Run an inbox in a thread until the end of the test: ``run(inbox, handler)``."""
    started = []

    def begin(inbox, handler):
        thread = threading.Thread(target=inbox.run, args=(handler,))
        thread.start()
        started.append((inbox, thread))

    yield begin
    for inbox, thread in started:
        inbox.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def inbox(database):
    return Inbox(database)


def test_order_holds_within_each_repository(inbox, run):
    seen, done = defaultdict(list), threading.Semaphore(0)

    def handler(repository, event):
        seen[repository].append(event["n"])
        done.release()
        return ""

    run(inbox, handler)
    for number in range(50):
        for repository in ("a", "b", "c"):
            inbox.accept(f"{repository}{number}", "git", repository, {"n": number})
    for _ in range(150):
        assert done.acquire(timeout=PATIENCE)
    assert seen == {repository: list(range(50)) for repository in ("a", "b", "c")}


def test_repositories_do_not_wait_for_each_other(inbox, run):
    together = threading.Barrier(3)

    def handler(*_):
        together.wait(PATIENCE)
        return ""

    for repository in ("a", "b"):
        inbox.accept(repository, "git", repository, {})
    run(inbox, handler)
    together.wait(PATIENCE)  # both are at work at the same time


def test_more_lanes_than_threads_have_their_turn(inbox, run):
    names = [f"r{number}" for number in range(3 * AT_ONCE)]
    now, most, seen = set(), [], threading.Semaphore(0)
    mutex = threading.Lock()

    def handler(repository, _):
        with mutex:
            now.add(repository)
            most.append(len(now))
        threading.Event().wait(0.005)
        with mutex:
            now.discard(repository)
        seen.release()
        return ""

    for repository in names:
        for number in range(2):
            inbox.accept(f"{repository}-{number}", "git", repository, {})
    run(inbox, handler)
    for _ in range(2 * len(names)):
        assert seen.acquire(timeout=PATIENCE)
    assert 1 < max(most) <= AT_ONCE


def test_a_long_lane_goes_on_after_its_spell(inbox, run):
    threads = [
        threading.Thread(
            target=lambda part=part: [
                inbox.accept(f"{part}-{n}", "git", "r", {}) for n in range(LONGEST // 10)
            ]
        )
        for part in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = threading.Semaphore(0)
    run(inbox, lambda *_: seen.release() or "")
    for _ in range(12 * (LONGEST // 10)):
        assert seen.acquire(timeout=PATIENCE)


def test_an_absent_forge_is_asked_again_and_then_all_goes_on_in_order(inbox, run):
    seen, back, done = [], threading.Event(), threading.Semaphore(0)

    def handler(_, event):
        seen.append(event["n"])
        if not back.is_set():
            back.set()
            raise SiteError("away", transient=True)
        done.release()
        return ""

    for number in range(3):
        inbox.accept(str(number), "git", "r", {"n": number})
    run(inbox, handler)
    for _ in range(3):
        assert done.acquire(timeout=PATIENCE)
    assert seen == [0, 0, 1, 2]


def test_a_stop_lets_a_try_that_goes_on_end(inbox, run, delivery):
    begun, end = threading.Event(), threading.Event()

    def handler(*_):
        begun.set()
        end.wait(PATIENCE)
        return ""

    for name in ("d", "later"):
        inbox.accept(name, "git", "r", {})
    run(inbox, handler)
    assert begun.wait(PATIENCE)
    stopping = threading.Thread(target=inbox.stop)
    stopping.start()
    assert inbox._lanes._stop.wait(PATIENCE)
    end.set()
    stopping.join(PATIENCE)
    assert delivery("d").state == "HANDLED"
    assert (delivery("later").state, delivery("later").attempts) == ("RECEIVED", 0)


def test_a_lane_that_is_taken_elsewhere_is_left_alone(database):
    class Taken:
        free = False

        def take(self, name):
            assert name == "lane-r"
            return self.free

        def release(self, name):
            pass

    locks = Taken()
    inbox = Inbox(database, locks)
    inbox.accept("d", "git", "r", {})
    assert inbox.handle_pending(lambda *_: "") == 0
    locks.free = True
    assert inbox.handle_pending(lambda *_: "") == 1


@pytest.mark.parametrize("state", ["IGNORED", "RECEIVED"])
def test_who_lost_a_lane_writes_no_fate(database, delivery, state):
    """Two processes that both believe to be in the lane: the row is as the other one left it."""

    class Always:
        def take(self, name):
            return True

        def release(self, name):
            pass

    one, other = Inbox(database, Always()), Inbox(database, Always())
    one.accept("d", "git", "r", {})

    def quick(*_):
        if state == "RECEIVED":
            raise EntryError("the other was there")
        return "the other was there"

    def slow(*_):
        other.handle_pending(quick)
        return ""

    one.handle_pending(slow)
    assert (delivery("d").state, delivery("d").reason) == (state, "the other was there")
