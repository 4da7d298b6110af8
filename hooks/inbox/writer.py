"""Group commit: many threads hand in what is to be written, one thread writes all that waits.

A commit costs a write through to the disk, whether it holds one row or a hundred. While one goes
on, whoever comes next gathers for the one after it; all are released when theirs is durable.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from ci.errors import SiteError

log = logging.getLogger(__name__)

ROOM = 10_000  # orders that may wait
BATCH = 500  # orders of one transaction
PATIENCE_SECONDS = 40.0  # a little longer than SQLite waits for another process (30 s)
IDLE_SECONDS = 2.0  # then the thread ends, until there is something to write again

Order = TypeVar("Order")
Answer = TypeVar("Answer")


class _Waiting(Generic[Order, Answer]):
    """One order on its way, and the lock that holds its caller."""

    __slots__ = ("answer", "done", "error", "order")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.answer: Answer
        self.error: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Writer(Generic[Order, Answer]):
    """Writes orders in the sequence in which they came, as few transactions as can be.

    ``write`` puts all orders that it is given into one transaction, or raises and leaves none.
    """

    def __init__(self, write: Callable[[Sequence[Order]], Sequence[Answer]]) -> None:
        self._write = write
        self._queue: deque[_Waiting[Order, Answer]] = deque()
        self._mutex = threading.Lock()
        self._news = threading.Condition(self._mutex)
        self._closed = self._running = False

    def submit(self, order: Order) -> Answer:
        """Have an order written; durable when this returns.

        Raises a transient ``SiteError`` if it was not written, or if that is not known: the
        database failed or is too slow, too many wait, or the writer was closed.
        """
        waiting: _Waiting[Order, Answer] = _Waiting(order)
        with self._mutex:
            if self._closed:
                raise SiteError("the service stops and stores nothing more", transient=True)
            if len(self._queue) >= ROOM:
                raise SiteError("too many wait for the database", transient=True)
            self._queue.append(waiting)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="inbox-writer", daemon=True).start()
            elif len(self._queue) == 1:
                self._news.notify()
        if not waiting.done.acquire(timeout=PATIENCE_SECONDS):
            raise SiteError("the database takes too long", transient=True)
        if waiting.error is not None:
            raise SiteError(_sentence(waiting.error), transient=True) from waiting.error
        return waiting.answer

    def close(self) -> None:
        """Take nothing more; what waits already is still written."""
        with self._mutex:
            self._closed = True
            self._news.notify()

    def _run(self) -> None:
        while taken := self._next():
            self._settle(taken)

    def _next(self) -> list[_Waiting[Order, Answer]]:
        """What is to be written next; nothing if the thread is to end."""
        with self._mutex:
            if not self._queue and not self._closed:
                self._news.wait(IDLE_SECONDS)
            taken = list(islice(self._queue, BATCH))
            for _ in taken:
                self._queue.popleft()
            self._running = bool(taken)
            return taken

    def _settle(self, taken: Sequence[_Waiting[Order, Answer]]) -> None:
        try:
            answers = self._write([waiting.order for waiting in taken])
        except Exception as error:  # callers wait: whatever it is, it must reach them
            if len(taken) > 1 and not isinstance(error, OperationalError | InterfaceError):
                for waiting in taken:  # one that cannot be written is alone in its failure
                    self._settle([waiting])
                return
            _tell(error)
            for waiting in taken:
                waiting.error = error
                waiting.done.release()
            return
        for waiting, answer in zip(taken, answers, strict=True):
            waiting.answer = answer
            waiting.done.release()


def _tell(error: Exception) -> None:
    if isinstance(error, SQLAlchemyError | OSError):
        log.warning("%s", _sentence(error))
    else:
        log.error("the inbox could not write by a defect of ours", exc_info=error)


def _sentence(error: Exception) -> str:
    """What the database said, without the statement and the values in it."""
    said = str(getattr(error, "orig", None) or type(error).__name__).strip().split("\n")[0]
    return f"the database did not store it: {said[:200]}"
