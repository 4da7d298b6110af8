"""What was read of GitHub's answers, with the ``ETag`` to ask with whether it still holds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST = 512  # pages; what was read of one is some kilobytes


class Remembered:
    """A bounded memory: what was not asked for the longest goes first."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._known: OrderedDict[Hashable, tuple[str, Any]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[str, Any]:
        """The mark and the value; an empty mark and None if there is none."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key, ("", None))

    def put(self, key: Hashable, etag: str, value: Any) -> None:
        """Keep a value in place of the one before; without a mark there is nothing to keep."""
        with self._lock:
            self._known.pop(key, None)
            if etag:
                self._known[key] = (etag, value)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
