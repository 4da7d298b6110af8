"""How often: bad signatures by address, and deliveries in all. In memory, bounded.

Behind a proxy all deliveries come from one address. So a bad signature never costs a good one
anything: an address that sent too many is told 429 where it would be told 401, and what it sends
without any signature is refused unread; what may be signed is still verified.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

log = logging.getLogger(__name__)

BAD_PER_MINUTE = 20
_MINUTE = 60.0  # seconds
_ADDRESSES = 4096  # remembered; the one that was silent longest is forgotten first
_LOG_EVERY = 10.0  # seconds


class Refusals:
    """Bad signatures by source address: counted in spans of a minute, one log line per 10 s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._bad: OrderedDict[str, tuple[float, int]] = OrderedDict()  # since when, how many
        self._unsaid = 0
        self._said_at = -_LOG_EVERY

    def too_many(self, address: str) -> bool:
        """Whether this address sent more bad ones within a minute than anybody does by mistake."""
        since, count = self._bad.get(address, (0.0, 0))
        return count >= BAD_PER_MINUTE and self._clock() - since < _MINUTE

    def note(self, address: str, size: int) -> None:
        """Count a bad one. Of it only the address and the size (bytes) are ever logged."""
        now = self._clock()
        with self._lock:
            since, count = self._bad.pop(address, (now, 0))
            self._bad[address] = (now, 1) if now - since >= _MINUTE else (since, count + 1)
            if len(self._bad) > _ADDRESSES:
                self._bad.popitem(last=False)
            self._unsaid += 1
            if now - self._said_at < _LOG_EVERY:
                return
            count, self._unsaid, self._said_at = self._unsaid, 0, now
        extra = {"count": count, "address": address, "bytes": size}
        log.warning("webhooks without a good signature; address and size of the last", extra=extra)


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
