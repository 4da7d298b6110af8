"""How often: bad signatures by address, refusals, and deliveries in all. In memory, bounded.

Behind a proxy all deliveries come from one address. So a bad signature never costs a good one
anything: an address that sent too many is told 429 where it would be told 401, and what it sends
without any signature is refused unread; what may be signed is still verified.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

log = logging.getLogger(__name__)

BAD_PER_MINUTE = 20
_MINUTE = 60.0  # seconds
_ADDRESSES = 4096  # remembered; the one that was silent longest is forgotten first
_LOG_EVERY = 10.0  # seconds

Later = Callable[[float, Callable[[], None]], None]
"""Calls something after so many seconds."""


class Tally:
    """Refused webhooks by the status of the answer: all are counted, one log line per 10 s.

    Of a request only the address and the size (bytes) are ever logged.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, later: Later | None = None
    ) -> None:
        self._clock, self._later, self._lock = clock, later or _in_a_thread, threading.Lock()
        self._unsaid: Counter[str] = Counter()
        self._last = ("", 0)
        self._said_at = -_LOG_EVERY
        self._waits = False  # for the next line, whatever comes until then

    def note(self, status: str, address: str, size: int) -> None:
        """Count one; ``status`` of three digits."""
        with self._lock:
            self._unsaid[status] += 1
            self._last = (address, size)
            left = self._said_at + _LOG_EVERY - self._clock()
            if left > 0:
                if not self._waits:
                    self._waits = True
                    self._later(left, self._say)
                return
        self._say()

    def _say(self) -> None:
        with self._lock:
            counts, self._unsaid = dict(self._unsaid), Counter()
            self._said_at, self._waits = self._clock(), False
            address, size = self._last
        if counts:
            extra = {"count": sum(counts.values()), "answers": counts}
            log.warning(
                "webhooks refused; address and size of the last",
                extra=extra | {"address": address, "bytes": size},
            )


def _in_a_thread(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


refused = Tally()


class Refusals:
    """Bad signatures by source address, counted in spans of a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._bad: OrderedDict[str, tuple[float, int]] = OrderedDict()  # since when, how many

    def too_many(self, address: str) -> bool:
        """Whether this address sent more bad ones within a minute than anybody does by mistake."""
        since, count = self._bad.get(address, (0.0, 0))
        return count >= BAD_PER_MINUTE and self._clock() - since < _MINUTE

    def note(self, address: str) -> None:
        """Count a bad one."""
        now = self._clock()
        with self._lock:
            since, count = self._bad.pop(address, (now, 0))
            self._bad[address] = (now, 1) if now - since >= _MINUTE else (since, count + 1)
            if len(self._bad) > _ADDRESSES:
                self._bad.popitem(last=False)


class Bucket:
    """A token bucket: ``rate`` per second in the long run, ``burst`` at once."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._lock = threading.Lock()
        self._left, self._at = burst, clock()

    def take(self) -> bool:
        """Take one; False if there is none now."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
