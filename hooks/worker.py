"""The threads of a worker: what begins with it, what it does again and again, what ends with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import WaasError

log = logging.getLogger(__name__)

Act = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Loop:
    """Something done every so many seconds, the first time at once (or after one pause)."""

    name: str
    act: Act
    every: float
    at_once: bool = True


class Worker:
    """Runs loops, and threads that end by themselves, from ``start`` to ``stop``."""

    def __init__(
        self,
        *,
        begin: Sequence[Act],
        loops: Sequence[Loop],
        threads: Sequence[tuple[str, Act]],
        end: Sequence[Act],
    ) -> None:
        self._begin, self._loops, self._threads, self._end = begin, loops, threads, end
        self._stop = threading.Event()

    def start(self) -> None:
        """Start working; unfinished work goes on. Raises ``SettingsError`` if it may not."""
        for act in self._begin:
            act()
        for name, act in self._threads:
            threading.Thread(target=act, name=name, daemon=True).start()
        for loop in self._loops:
            threading.Thread(target=self._run, args=(loop,), name=loop.name, daemon=True).start()

    def stop(self) -> None:
        """Stop at once; what is unfinished goes on at the next start."""
        self._stop.set()
        for act in self._end:
            act()

    def _run(self, loop: Loop) -> None:
        if not loop.at_once and self._stop.wait(loop.every):
            return
        while True:
            try:
                loop.act()
            except (WaasError, OSError, SQLAlchemyError) as error:
                log.warning("%s: %s", loop.name, error)
            except Exception:  # the thread's edge: one that dies would never do its work again
                log.exception("%s failed by a defect of ours", loop.name)
            if self._stop.wait(loop.every):
                return
