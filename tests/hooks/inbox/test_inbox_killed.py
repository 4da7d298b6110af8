"""kill -9 at any moment: what was accepted is there, handled in order, and never by two at once."""

import multiprocessing
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import inbox_processes
import pytest
from sqlalchemy import select

from hooks.db import Database
from hooks.db.tables import Delivery
from hooks.inbox import Inbox

ROUNDS = 20
# processes that are made by a fork of one that has everything imported
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["hooks.inbox", "hooks.engine.locks"])


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes"
    file.touch()
    return file


@pytest.fixture
def start(database: Database, notes: Path) -> Iterator[Callable[..., Any]]:
    """Start a process: ``start(act, *arguments)``. Killed at the end if it still lives."""
    started = []

    def begin(act: Callable[..., None], *arguments: Any) -> Any:
        process = CONTEXT.Process(target=act, args=(database.url, str(notes), *arguments))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()


def until(found: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end
        time.sleep(0.005)


def killed_after(process: Any, notes: Path, seconds: float) -> None:
    """Kill a process some time after its first note."""
    size = notes.stat().st_size
    until(lambda: notes.stat().st_size > size)
    time.sleep(seconds)
    process.kill()
    process.join()


def test_nothing_that_was_accepted_is_lost(database, notes, start):
    for life in range(ROUNDS):
        process = start(inbox_processes.accept, str(life), 6)
        killed_after(process, notes, random.uniform(0, 0.03))
    accepted = notes.read_text().split()
    with database.session() as session:
        rows = session.execute(select(Delivery.number, Delivery.id, Delivery.state)).all()
    numbers = {name: number for number, name, _ in rows}
    assert len(accepted) == len(set(accepted)) >= ROUNDS
    assert set(accepted) <= set(numbers)
    assert {state for _, _, state in rows} == {"RECEIVED"}
    lines = defaultdict(list)  # what one thread of one life accepted, in its order
    for name in accepted:
        lines[name.rsplit("-", 1)[0]].append(numbers[name])
    assert all(line == sorted(line) for line in lines.values())
    Inbox(database).accept("after", "git", "r", {})


def test_a_process_killed_at_work_loses_nothing_and_keeps_the_order(database, notes, start):
    inbox = Inbox(database)
    accepted: dict[str, list[int]] = {"r0": [], "r1": []}

    def bring(count: int) -> None:
        for _ in range(count):
            for repository, line in accepted.items():
                line.append(len(line))
                event = {"n": line[-1]}
                inbox.accept(f"{repository}-{line[-1]}", "git", repository, event)

    for life in range(ROUNDS):
        bring(6)
        process = start(inbox_processes.handle, str(life), 1)
        killed_after(process, notes, random.uniform(0, 0.05))
    seen: dict[str, list[int]] = {repository: [] for repository in accepted}
    for line in notes.read_text().splitlines():
        what, _, repository, number = line.split()
        if what == "begin":
            seen[repository].append(int(number))
    while inbox.handle_pending(lambda repository, event: seen[repository].append(event["n"]) or ""):
        pass
    for repository, line in accepted.items():
        assert seen[repository] == sorted(seen[repository])
        assert sorted(set(seen[repository])) == line
        again = len(seen[repository]) - len(line)
        assert again <= ROUNDS  # at most the one that was at work when it was killed
    with database.session() as session:
        assert set(session.scalars(select(Delivery.state))) == {"HANDLED"}


def test_of_two_processes_one_is_in_a_lane_at_a_time(database, notes, start):
    inbox = Inbox(database)
    count, repositories = 60, ["r0", "r1", "r2"]
    for number in range(count):
        for repository in repositories:
            inbox.accept(f"{repository}-{number}", "git", repository, {"n": number})
    lives = [start(inbox_processes.handle, name, 1) for name in "ab"]

    def lines() -> list[list[str]]:
        return [line.split() for line in notes.read_text().splitlines()]

    until(lambda: len(lines()) >= 60)
    lives[0].kill()  # its lanes are free for the other
    until(lambda: {(r, n) for what, _, r, n in lines() if what == "end"} >= wanted)
    _none_overlap(lines(), repositories)


wanted = {(f"r{lane}", str(number)) for lane in range(3) for number in range(60)}


def _none_overlap(lines: list[list[str]], repositories: list[str]) -> None:
    for repository in repositories:
        open_try: list[str] | None = None
        numbers = []
        for what, life, name, number in lines:
            if name != repository:
                continue
            if what == "begin":
                # a begin without an end: its process was killed, and nobody goes on as that one
                assert open_try is None or (open_try[0] == "a" and life == "b")
                open_try = [life, number]
                numbers.append(int(number))
            else:
                assert open_try == [life, number]
                open_try = None
        assert numbers == sorted(numbers)


def test_a_replay_in_another_process_is_noticed(database, notes, start, delivery):
    inbox = Inbox(database)
    inbox.accept("d", "git", "r", {"n": 1})
    start(inbox_processes.handle, "a", 0)
    until(lambda: delivery("d").state == "HANDLED")
    assert Inbox(database).replay("d")
    until(lambda: notes.read_text().count("end a r 1") == 2)


def test_threads_that_send_the_same_store_it_once(inbox, database):
    together, answers = threading.Barrier(16), []

    def send() -> None:
        together.wait()
        answers.extend(
            bool(inbox.accept(f"d{number}", "git", "r", {"n": number})) for number in range(50)
        )

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(True), len(answers)) == (50, 800)
    seen = []
    inbox.handle_pending(lambda _, event: seen.append(event["n"]) or "")
    assert sorted(seen) == list(range(50))
