"""One run of a build: its phase and its log on their way to the database, a cancel on its way back.

A build prints thousands of lines, and must not wait for the database for any of them, nor end
because it is away for a moment: a thread writes what has come up, five times a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from types import TracebackType

from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError

from builder.request import Phase
from hooks.builds.records import FINAL, PENDING, BuildRecords, subject
from hooks.db.tables import Build, now
from hooks.journal import INFO, WARNING

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.2
LOOK_SECONDS = 1.0
MOST_LINES = 50_000  # of one run; more are in the image's build.log only
MOST_CHARACTERS = 10_000_000
_TOO_LONG = "(the log goes on, but is too long to be kept here)"
_UNTOLD = (PENDING, *FINAL)  # phases that are for others to record


class Attempt:
    """A context in which a build runs."""

    def __init__(
        self, records: BuildRecords, build: str, run: int, stopping: threading.Event
    ) -> None:
        self._records, self._build, self._run, self._stopping = records, build, run, stopping
        self._lines: deque[tuple[str, str, int]] = deque()
        self._phase = self._written = ""
        self._count = self._characters = 0
        self._full = False
        self._looked, self._ended = float("-inf"), False
        self._done = threading.Event()
        self._writer = threading.Thread(target=self._write, name=f"log of {build}", daemon=True)

    def __enter__(self) -> Attempt:
        self._writer.start()
        if self._run > 1:
            self._add("the service was started again: the build begins anew", WARNING)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._writer.join()

    def progress(self, phase: Phase, text: str) -> None:
        """A phase was reached, or the build printed a line; touches no database."""
        if phase.value in _UNTOLD:
            return
        self._phase = phase.value
        if text and phase is not Phase.STARTED:
            self._add(text, INFO)

    def cancelled(self) -> bool:
        """Whether to end: the build was cancelled, or this process stops."""
        if self._stopping.is_set() or self._ended:
            return True
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                self._ended = self._records.ended(self._build)
            except SQLAlchemyError as error:
                log.warning("cannot look whether build %s is cancelled: %s", self._build, error)
        return self._ended

    def _add(self, text: str, level: int) -> None:
        for line in text.splitlines() or [""]:
            if self._full:
                return
            self._count += 1
            self._characters += len(line)
            self._full = self._count > MOST_LINES or self._characters > MOST_CHARACTERS
            shown = (_TOO_LONG, WARNING) if self._full else (line, level)
            self._lines.append((f"{self._run}:{self._count}", *shown))

    def _write(self) -> None:
        while True:
            last = self._done.wait(FLUSH_SECONDS)
            try:
                self._flush()
            except SQLAlchemyError as error:  # the lines are kept for the next time
                log.warning("cannot write the log of build %s: %s", self._build, error)
            if last:
                return

    def _flush(self) -> None:
        if (phase := self._phase) != self._written:
            begun = func.coalesce(Build.started_at, now())
            self._records.at(self._build, {"state": phase, "started_at": begun})
            self._written = phase
        lines = [self._lines[i] for i in range(len(self._lines))]
        self._records.journal.write_lines(subject(self._build), lines)
        for _ in lines:
            self._lines.popleft()
