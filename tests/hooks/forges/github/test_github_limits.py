"""What GitHub forbids for a time is not asked for again, and what is written is paced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import SiteError
from hooks.forges.github.limits import SECONDARY, Limits, forbidden_for

NOW = 1_700_000_000.0


class Time:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now, self.slept = NOW, 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limits(time: Time) -> Limits:
    return Limits(clock=lambda: time.now, sleep=time.sleep)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, 0),
        (403, {}, 0),  # no right
        (403, {"retry-after": "30"}, 30),
        (429, {"retry-after": "0"}, 1),
        (429, {}, SECONDARY),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 600)}, 601),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, SECONDARY),
        (403, {"x-ratelimit-remaining": "7", "x-ratelimit-reset": str(int(NOW) + 600)}, 0),
    ],
)
def test_a_limit_is_told_from_a_missing_right(status, headers, seconds) -> None:
    assert forbidden_for(status, headers, NOW) == seconds


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset"]), st.text()
    ),
)
def test_odd_headers_are_waited_for_no_longer_than_they_say(status, headers) -> None:
    assert forbidden_for(status, headers, NOW) >= 0


def test_nothing_is_asked_before_the_time_that_github_names(limits, time) -> None:
    limits.wait("public")
    assert limits.heard(403, {"retry-after": "600"}) == 600
    with pytest.raises(SiteError, match="600 seconds") as refused:
        limits.wait("public")
    assert refused.value.transient
    assert time.slept == 0
    time.now += 599
    limits.wait("public")  # what is short is waited for
    assert time.slept == pytest.approx(1)


def test_a_later_answer_does_not_shorten_the_wait(limits) -> None:
    limits.heard(429, {"retry-after": "600"})
    limits.heard(429, {"retry-after": "5"})
    with pytest.raises(SiteError, match="600"):
        limits.wait("public")


def test_no_more_than_eighty_writes_go_out_in_any_minute(limits, time) -> None:
    times = []
    for _ in range(200):
        with limits.writing():
            times.append(time.now)
    for i, first in enumerate(times):
        assert sum(first <= t < first + 60 for t in times[i:]) <= 80


def test_a_quiet_time_lets_some_writes_go_at_once(limits, time) -> None:
    for _ in range(10):
        with limits.writing():
            pass
    assert time.slept == 0
