"""What a request may bring, decided from its headers before its body is read.

- Bodies of webhooks stay in memory, since nothing of them may reach the disk before their
  signature holds: up to 5 MB with a header that can be a signature, 64 KiB without (to be told
  so). Those larger than 64 KiB share 64 MB, else 503.
- Bodies under ``/git/`` may have 200 MB if they come with credentials with which somebody was let
  in to push a moment ago (git always asks first what there is); all others 10 MB. waitress puts
  those of more than 512 KiB into a temporary file: strangers could fill the disk.
- What is refused for its headers is refused before its body is read.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from hooks.web.webhooks.receiver import LARGEST_BYTES, LARGEST_UNSIGNED_BYTES, RETRY_SECONDS
from hooks.web.webhooks.receiver import PREFIX as WEBHOOKS
from hooks.web.webhooks.signatures import well_formed

GIT = "/git/"
GIT_BYTES = 200_000_000
OTHER_BYTES = 10_000_000
TOGETHER_BYTES = 64_000_000
READ_SECONDS = 30.0
GIT_READ_SECONDS = 3600.0
_SPOOL_BYTES = 524_288
_ANSWER_BYTES = 2_048
_PROVEN_SECONDS = 3600.0
_PROVEN_MOST = 4_096
_LINE_BYTES = 4_096  # of a chunked body: waitress would take one without an end


class Together:
    """How many bytes of large bodies may be in memory at once."""

    def __init__(self, most: int = TOGETHER_BYTES) -> None:
        self._left, self._lock = most, threading.Lock()

    def take(self, size: int, holder: object) -> bool:
        """Take room until ``holder`` is gone, however it goes; False if there is none."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
        weakref.finalize(holder, self._give_back, size).atexit = False
        return True

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._left += size


class Proven:
    """Credentials that were good a while ago, by what their header was; in memory, bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def note(self, header: str) -> None:
        """These let somebody in just now."""
        with self._lock:
            self._until.pop(_digest(header), None)
            self._until[_digest(header)] = self._clock() + _PROVEN_SECONDS
            if len(self._until) > _PROVEN_MOST:
                self._until.popitem(last=False)

    def holds(self, header: str) -> bool:
        """Whether these did within the last hour."""
        return self._until.get(_digest(header), 0.0) > self._clock()


def _digest(header: str) -> bytes:
    return hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()


class _Refusal(Error):  # noqa: N818 waitress raises none of these
    """An answer to a request that never reaches the application, in the form of all others."""

    def __init__(self, code: int, reason: str, sentence: str, *headers: tuple[str, str]) -> None:
        super().__init__(sentence)
        self.code, self.reason, self._headers = code, reason, headers

    def to_response(self, ident: str | None = None) -> Any:  # noqa: ARG002
        body = json.dumps({"error": self.body, "hint": ""}).encode("ascii")
        headers = [("Content-Type", "application/json"), *self._headers]
        return f"{self.code} {self.reason}", headers, body


@lru_cache(maxsize=64)  # a few for each server
def _limited(adj: Adjustments, largest: int, in_memory: int) -> Adjustments:
    """The settings of a server for a request with a body of so many bytes at most."""
    made = copy.copy(adj)
    made.max_request_body_size = largest + 1
    made.inbuf_overflow = in_memory + 1
    if in_memory >= largest:  # a webhook: its answer goes out in one packet, others may be streams
        made.send_bytes = _ANSWER_BYTES
    return made


class Parser(HTTPRequestParser):
    """Reads one request, within the limits that its headers allow it."""

    together = Together()
    proven = Proven()
    read_seconds = READ_SECONDS
    path = ""

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.begun_at = time.time()

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress, then choose the limits. Raises ``ParsingError``."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of a number or an address that Python does not take
            raise ParsingError("the request cannot be read") from error
        path = "/" + self.path.lstrip("/")  # as waitress tells the application
        if path.startswith(WEBHOOKS):
            self._limit_webhook()
        elif path.startswith(GIT) and self.proven.holds(self.headers.get("AUTHORIZATION", "")):
            self.read_seconds = GIT_READ_SECONDS
            self._limit(GIT_BYTES, _SPOOL_BYTES)
        else:
            self._limit(OTHER_BYTES, _SPOOL_BYTES)

    def _limit_webhook(self) -> None:
        signed = well_formed(self.headers.get("X_HUB_SIGNATURE_256", ""))
        self._limit(LARGEST_BYTES if signed else LARGEST_UNSIGNED_BYTES, LARGEST_BYTES)
        size = self.content_length
        if self.chunked:
            self._refuse(411, "Length Required", "the header Content-Length is needed")
        elif (
            LARGEST_UNSIGNED_BYTES < size < self.adj.max_request_body_size
            and not self.together.take(size, self)
        ):
            retry = ("Retry-After", str(RETRY_SECONDS))
            self._refuse(503, "Service Unavailable", "too many large bodies at once", retry)

    def _limit(self, largest: int, in_memory: int) -> None:
        self.adj = _limited(self.adj, largest, in_memory)
        if self.body_rcv is not None:
            self.body_rcv.getbuf().overflow = self.adj.inbuf_overflow

    def _refuse(self, code: int, reason: str, sentence: str, *headers: tuple[str, str]) -> None:
        self.error = _Refusal(code, reason, sentence, *headers)

    def received(self, data: bytes) -> int:
        """As waitress; a request that is refused is complete at once, and not asked to go on."""
        consumed = super().received(data)
        unfinished = (getattr(self.body_rcv, name, b"") for name in ("control_line", "trailer"))
        if not self.error and any(len(part) > _LINE_BYTES for part in unfinished):
            self.error = BadRequest("a line of the chunked body is too long")
        if isinstance(self.error, RequestEntityTooLarge):
            self._refuse_size(self.adj.max_request_body_size - 1)
        if self.error:
            self.completed, self.expect_continue = True, False
        return consumed

    def _refuse_size(self, most: int) -> None:
        if most == LARGEST_UNSIGNED_BYTES and self.content_length <= LARGEST_BYTES:
            self._refuse(401, "Unauthorized", "the signature does not match")
        else:
            self._refuse(413, "Request Entity Too Large", f"the body is larger than {most} bytes")

    def late(self, now: float) -> bool:
        """Whether reading it takes too long."""
        return now - self.begun_at > self.read_seconds
