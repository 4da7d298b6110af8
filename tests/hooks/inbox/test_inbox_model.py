"""Whatever comes in whichever order, the inbox does what a list and a few rules would do."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from ci.errors import EntryError, SiteError
from hooks.db import Database
from hooks.db.tables import Delivery, now
from hooks.inbox import ATTEMPTS, Accepted, Inbox

IDS = st.integers(0, 7)
HANDLERS = st.sampled_from(["", "ignored", "wrong", "defect", "away"])


class Row:
    """A delivery as the rules have it. ``aside``: since it failed, others may go before it."""

    def __init__(self, number, repository):
        self.number, self.repository = number, repository
        self.state, self.attempts, self.waits, self.aside = "RECEIVED", 0, False, False

    def again(self):
        self.state, self.attempts, self.waits, self.aside = "RECEIVED", 0, False, False


class Model(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.folder = Path(tempfile.mkdtemp(prefix="inbox-model-"))
        shutil.copyfile(Model.empty, self.folder / "waas.db")
        self.database = Database(f"sqlite:///{self.folder}/waas.db")
        self.rows: dict[str, Row] = {}
        self.now = now()
        self.open()

    def open(self):
        self.inbox = Inbox(self.database, clock=lambda: self.now)

    def teardown(self):
        if hasattr(self, "folder"):
            self.inbox.stop()
            self.database.engine.dispose()
            shutil.rmtree(self.folder)

    @rule(numbers=st.lists(IDS, min_size=3, max_size=10))
    def accept(self, numbers):
        for number in numbers:
            self.accept_one(f"d{number}", "ab"[number % 2])

    def accept_one(self, name, repository):
        known = self.rows.get(name)
        if known is None:
            self.rows[name] = Row(len(self.rows), repository)
            expected = Accepted.NEW
        elif known.state == "FAILED":
            known.again()
            expected = Accepted.AGAIN
        else:
            expected = Accepted.KNOWN
        assert self.inbox.accept(name, "git", repository, {"id": name}) is expected

    @rule(number=IDS)
    def replay(self, number):
        row = self.rows.get(f"d{number}")
        can = row is not None and row.state != "RECEIVED"
        assert self.inbox.replay(f"d{number}") == can
        if can:
            row.again()

    @rule()
    def a_process_ends_and_another_begins(self):
        self.inbox.stop()
        self.open()

    def time_goes_by(self):
        self.now += timedelta(minutes=2)
        for row in self.rows.values():
            row.waits = False

    @rule(outcomes=st.tuples(*[HANDLERS] * 8), fatal=st.none() | IDS, later=st.booleans())
    def handle(self, outcomes, fatal, later):
        """One pass; the process is killed in the middle of ``fatal``, if it comes to that."""
        seen = []
        if later:
            self.time_goes_by()

        class Killed(BaseException):
            pass

        def handler(_, event):
            name = event["id"]
            seen.append(name)
            if name == f"d{fatal}":
                raise Killed
            outcome = outcomes[int(name[1:])]
            if outcome == "wrong":
                raise EntryError("wrong")
            if outcome == "defect":
                raise KeyError(name)
            if outcome == "away":
                raise SiteError("away", transient=True)
            return outcome

        expected = self.expected(outcomes, fatal)
        try:
            self.inbox.handle_pending(handler)
        except Killed:
            self.inbox.stop()
            self.open()
        assert seen == expected

    def expected(self, outcomes, fatal):
        seen = []
        for repository in self.lanes():
            for name, row in self.lane(repository):
                if row.waits and not row.aside:
                    break  # the forge was away: all wait
                if row.waits:
                    continue
                if row.attempts >= ATTEMPTS:
                    row.state = "FAILED"
                    continue
                seen.append(name)
                row.attempts += 1
                if name == f"d{fatal}":
                    return seen
                if self.ends_lane(row, outcomes[int(name[1:])]):
                    break
        return seen

    def ends_lane(self, row, outcome):
        if outcome == "away":
            row.attempts -= 1
            row.waits, row.aside = True, row.attempts > 0
            return True
        if outcome in ("wrong", "defect"):
            row.state = "FAILED" if row.attempts >= ATTEMPTS else "RECEIVED"
            row.waits = row.aside = row.state == "RECEIVED"
        else:
            row.state = "IGNORED" if outcome else "HANDLED"
        return False

    def lanes(self):
        """Those in which something is due, the oldest delivery first."""
        names = {row.repository for row in self.rows.values() if row.state == "RECEIVED"}
        lanes = {name: [row for _, row in self.lane(name)] for name in names}
        due = [name for name, lane in lanes.items() if not all(row.waits for row in lane)]
        return sorted(due, key=lambda name: lanes[name][0].number)

    def lane(self, repository):
        rows = [(n, r) for n, r in self.rows.items() if r.repository == repository]
        return sorted(
            ((n, r) for n, r in rows if r.state == "RECEIVED"), key=lambda pair: pair[1].number
        )

    @invariant()
    def rows_are_as_the_rules_have_them(self):
        if not hasattr(self, "rows"):
            return
        with self.database.session() as session:
            query = select(Delivery.id, Delivery.state, Delivery.attempts)
            found = {name: rest for name, *rest in session.execute(query)}
        assert found == {name: [row.state, row.attempts] for name, row in self.rows.items()}


def test_the_inbox_follows_the_rules(empty_database: Path, monkeypatch: pytest.MonkeyPatch):
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setattr(Model, "empty", empty_database, raising=False)
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    chosen = settings(
        max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=slow
    )
    run_state_machine_as_test(Model, settings=chosen)
