"""The log of a build reaches the database in order, in bulk, and without holding up the build."""

import threading

import pytest
from sqlalchemy.exc import OperationalError

from builder.request import Phase
from hooks.builds import attempt as module
from hooks.builds.attempt import Attempt
from hooks.builds.spec import Asker


@pytest.fixture
def build(builds, spec):
    return builds.ask(spec(), Asker.user("alice")).build


@pytest.fixture
def run(records, build):
    return lambda number=1: Attempt(records, build, number, threading.Event())


def contents(records, build):
    return [line.content for line in records.lines(build, size=100_000)]


def test_lines_and_phases_arrive_in_order_and_whole(records, build, run):
    with run() as attempt:
        attempt.progress(Phase.STARTED, "key")
        for number in range(3_000):
            attempt.progress(Phase.BUILDING, f"line {number}")
        attempt.progress(Phase.CONVERTING, "one\ntwo")
    assert contents(records, build) == [*(f"line {n}" for n in range(3_000)), "one", "two"]
    row = records.get(build)
    assert row.state == "CONVERTING"
    assert row.started_at is not None


def test_a_second_run_says_that_it_begins_anew(records, build, run):
    for number in (1, 2):
        with run(number) as attempt:
            attempt.progress(Phase.BUILDING, "same")
    assert contents(records, build)[0] == "same"
    assert "anew" in contents(records, build)[1]
    assert contents(records, build)[2] == "same"


def test_an_endless_log_is_cut_and_says_so(records, build, run, monkeypatch):
    monkeypatch.setattr(module, "MOST_LINES", 10)
    with run() as attempt:
        for number in range(50):
            attempt.progress(Phase.BUILDING, f"line {number}")
    assert contents(records, build) == [*(f"line {n}" for n in range(10)), module._TOO_LONG]
    monkeypatch.setattr(module, "MOST_CHARACTERS", 130)
    with run(3) as attempt:
        for _ in range(3):
            attempt.progress(Phase.BUILDING, "x" * 70)
    assert contents(records, build)[-2:] == ["x" * 70, module._TOO_LONG]


def test_a_database_that_is_away_costs_no_line_and_no_build(records, build, run, monkeypatch):
    write, failures = records.journal.write_lines, [3]

    def away(*args):
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("insert", {}, Exception("away"))
        write(*args)

    monkeypatch.setattr(records.journal, "write_lines", away)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    with run() as attempt:
        attempt.progress(Phase.BUILDING, "first")
        while failures[0]:
            assert not attempt.cancelled()
        attempt.progress(Phase.BUILDING, "second")
    assert contents(records, build) == ["first", "second"]


def test_bytes_that_a_database_refuses_do_not_end_it(records, build, run):
    with run() as attempt:
        attempt.progress(Phase.BUILDING, "nul \0 here")
    assert contents(records, build) == ["nul \N{REPLACEMENT CHARACTER} here"]
