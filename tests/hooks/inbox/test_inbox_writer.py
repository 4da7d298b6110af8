"""Group commit: whoever waits together is stored together, and every failure reaches its caller."""

import threading

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from ci.errors import SiteError
from hooks.inbox import writer
from hooks.inbox.writer import Writer


def submit_from_threads(made: Writer, orders) -> dict:
    """The answer to each order, or the error."""
    answers = {}

    def submit(order):
        try:
            answers[order] = made.submit(order)
        except SiteError as error:
            answers[order] = error

    threads = [threading.Thread(target=submit, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def begin(made: Writer, orders) -> list[threading.Thread]:
    """Submit orders: when this returns, the first is being written and the others wait."""
    threads = [threading.Thread(target=made.submit, args=(order,)) for order in orders]
    threads[0].start()
    while made._queue or not made._running:
        threading.Event().wait(0.001)
    for thread in threads[1:]:
        thread.start()
    while len(made._queue) < len(threads) - 1:
        threading.Event().wait(0.001)
    return threads


class Slow:
    """Writes the first batch only when all others wait."""

    def __init__(self, others: int) -> None:
        self.batches, self.others, self.made = [], others, None

    def __call__(self, orders):
        if not self.batches:
            while len(self.made._queue) < self.others:
                threading.Event().wait(0.001)
        self.batches.append(list(orders))
        return [order * 10 for order in orders]


def test_all_that_wait_are_written_at_once():
    write = Slow(others=20)
    write.made = made = Writer(write)
    [first] = begin(made, [0])
    answers = submit_from_threads(made, range(1, 21))
    first.join(30)
    assert answers == {order: order * 10 for order in range(1, 21)}
    assert [len(batch) for batch in write.batches] == [1, 20]


def test_a_failure_of_the_database_reaches_everyone_without_what_was_to_be_stored():
    def away(_orders):
        raise OperationalError("INSERT secret", {"body": "secret"}, Exception("disk is full\nmore"))

    answers = submit_from_threads(Writer(away), range(10))
    assert len(answers) == 10
    for error in answers.values():
        assert isinstance(error, SiteError)
        assert error.transient
        assert str(error) == "the database did not store it: disk is full"


def test_it_goes_on_after_a_failure():
    failing = [True]

    def write(orders):
        if failing:
            raise OSError(failing.pop())
        return orders

    made = Writer(write)
    with pytest.raises(SiteError):
        made.submit(1)
    assert made.submit(2) == 2


def test_one_that_cannot_be_written_fails_alone():
    def write(orders):
        if 3 in orders:
            raise IntegrityError("INSERT", {}, Exception("bad value"))
        return orders

    answers = submit_from_threads(Writer(write), range(6))
    assert isinstance(answers.pop(3), SiteError)
    assert answers == {order: order for order in (0, 1, 2, 4, 5)}


def test_a_defect_reaches_the_caller_and_the_log(caplog):
    with pytest.raises(SiteError):
        Writer(lambda orders: orders[0].missing).submit("x")
    assert "AttributeError" in caplog.text


def test_when_too_many_wait_the_next_is_refused(monkeypatch):
    monkeypatch.setattr(writer, "ROOM", 2)
    go = threading.Event()

    def write(orders):
        go.wait(30)
        return orders

    made = Writer(write)
    threads = begin(made, range(3))
    with pytest.raises(SiteError, match="too many"):
        made.submit(3)
    go.set()
    for thread in threads:
        thread.join(30)


def test_who_waits_too_long_is_told(monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.01)
    go = threading.Event()

    def write(orders):
        go.wait(30)
        return orders

    with pytest.raises(SiteError, match="too long"):
        Writer(write).submit(1)
    go.set()


def test_a_closed_one_writes_what_waits_and_refuses_the_next():
    go, written = threading.Event(), []

    def write(orders):
        go.wait(30)
        written.extend(orders)
        return orders

    made = Writer(write)
    threads = begin(made, range(5))
    made.close()
    with pytest.raises(SiteError, match="stops"):
        made.submit(9)
    go.set()
    for thread in threads:
        thread.join(30)
    assert sorted(written) == list(range(5))


def test_its_thread_ends_when_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.01)
    made = Writer(lambda orders: orders)
    for order in range(3):
        assert made.submit(order) == order
        while made._running:
            threading.Event().wait(0.001)
