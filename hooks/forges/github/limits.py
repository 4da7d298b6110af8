"""How often GitHub is asked: what it forbids is remembered, and what is written is paced.

Its rules (at most 80 writes a minute, one at a time, and none before the time that a refusal
names): https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ci.errors import SiteError

BURST = 20  # writes at once after a quiet time …
PER_SECOND = 1.0  # … and then so many: never more than 80 in a minute
SHORT = 2.0  # seconds that a caller is held up for a limit, rather than told to come again
QUEUE = 60.0  # seconds that a write waits for those before it
SECONDARY = 60.0  # seconds to wait when GitHub does not say how long


def forbidden_for(
    status: int, headers: Mapping[str, str], now: float, *, said: bool = False
) -> float:
    """Seconds until a limit lets us ask again; 0 for an answer that is no limit.

    ``headers`` have lower-case names, ``now`` is in Unix seconds. A refusal for want of rights has
    the same status; ``said`` is whether GitHub's words speak of a limit.
    """
    if status not in {403, 429}:
        return 0.0
    if (seconds := _number(headers.get("retry-after", ""))) is not None:
        return max(seconds, 1.0)
    if headers.get("x-ratelimit-remaining") == "0":
        reset = _number(headers.get("x-ratelimit-reset", ""))
        return max(reset - now, 0.0) + 1.0 if reset is not None else SECONDARY
    return SECONDARY if said or status == 429 else 0.0


def _number(text: str) -> float | None:
    return min(float(text), 1e11) if text.isascii() and text.isdigit() else None


class Limits:
    """The limits of one connection, for all threads of this process."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        burst: int = BURST,
        queue: float = QUEUE,
    ) -> None:
        self._clock, self._sleep, self._burst, self._queue = clock, sleep, burst, queue
        self._not_before = 0.0
        self._writing = threading.Lock()
        self._free, self._counted = float(burst), 0.0  # writes that may be done now, and when

    def wait(self, name: str) -> None:
        """Before every request. Raises a transient ``SiteError`` if the wait is not a short one."""
        left = self._not_before - self._clock()
        if left > SHORT:
            raise SiteError(
                f"GitHub ({name}) takes no requests from us for {left:.0f} seconds: its rate limit",
                transient=True,
                hint="`waas github check` shows what is left",
            )
        if left > 0:
            self._sleep(left)

    def heard(self, status: int, headers: Mapping[str, str], *, said: bool = False) -> float:
        """After every refusal: seconds that GitHub wants to be left alone, 0 for none."""
        seconds = forbidden_for(status, headers, self._clock(), said=said)
        if seconds:
            self._not_before = max(self._not_before, self._clock() + seconds)
        return seconds

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around every write: one at a time, and paced."""
        if not self._writing.acquire(timeout=self._queue):
            raise SiteError("there is too much to tell GitHub at once", transient=True)
        try:
            self._take()
            yield
        finally:
            self._writing.release()

    def _take(self) -> None:
        now = self._clock()
        self._free = min(self._burst, self._free + (now - self._counted) * PER_SECOND)
        self._counted = now
        if self._free < 1:
            self._sleep((1 - self._free) / PER_SECOND)
            self._free, self._counted = 1.0, self._clock()
        self._free -= 1
