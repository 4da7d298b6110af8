"""How long to wait, what counts, and what a reason may hold."""

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from ci.errors import EntryError, SettingsError, SiteError
from hooks.inbox.tries import (
    ATTEMPTS,
    FAILED,
    OUTAGE,
    REASON_CHARACTERS,
    RECEIVED,
    Trouble,
    after_error,
    clean,
    describe,
    is_transient,
    pause,
)

NOW = datetime(2025, 3, 1)


@given(st.integers(1, 10**6))
def test_a_pause_is_between_half_a_second_and_a_minute(tries):
    assert 0.5 <= pause(tries).total_seconds() <= 60


@given(st.integers(1, 5))
def test_pauses_grow(tries):
    assert pause(tries) < pause(tries + 2)


def test_pauses_of_many_are_not_in_step():
    assert len({pause(8) for _ in range(50)}) > 1


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (SiteError("away", transient=True), True),
        (SiteError("refused"), False),
        (EntryError("no"), False),
        (SettingsError("no"), False),
        (ConnectionResetError(), True),
        (OperationalError("select", {}, Exception("locked")), True),
        (KeyError("x"), False),
    ],
)
def test_what_may_work_later(error, transient):
    assert is_transient(error) == transient


def test_what_the_database_says_is_kept_without_the_values():
    error = OperationalError("select secret", {"x": "secret"}, Exception("locked"))
    assert describe(error) == "OperationalError: locked"


@given(st.integers(1, ATTEMPTS), st.timedeltas(timedelta(), timedelta(days=3)))
def test_an_outage_counts_only_after_a_day(attempts, since):
    error = SiteError("away", transient=True)
    fate = after_error(error, attempts, Trouble(NOW - since, 9), NOW)
    counted = since >= OUTAGE
    assert fate.attempts == (attempts if counted else attempts - 1)
    assert fate.pauses_lane == (not counted)
    assert fate.state == (FAILED if counted and attempts == ATTEMPTS else RECEIVED)


@example("\ud800")
@given(st.text(st.characters(), max_size=50) | st.just("x" * (REASON_CHARACTERS + 1)))
def test_a_reason_can_be_stored(text):
    stored = clean(text)
    assert "\x00" not in stored
    assert len(stored.encode("utf-8")) <= 4 * REASON_CHARACTERS + 100
