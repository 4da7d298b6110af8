"""``POST /webhooks/github`` and ``POST /webhooks/git``, as a WSGI application before Flask.

Before Flask, because its routing and its contexts cost more than all that is done here.
202 ``{"id", "stored"}``: stored durably (``stored`` is False for one that was known); else
``{"error", "hint"}`` with 400 unreadable, 401 signature bad or missing, 405, 411 without a
length, 413 too large, 429 too many, 503 not stored, to be sent again. The order is: method and
headers, size, body, signature; only then is anything parsed, logged or written.

GitHub sends up to 25 MB; what is refused here for its size is found by the reconciler, which asks
GitHub what there is. https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import EntryError, WaasError
from hooks.web.webhooks.events import Hint, read_git, read_github
from hooks.web.webhooks.limits import Bucket, Refusals, refused
from hooks.web.webhooks.signatures import matching, well_formed

log = logging.getLogger(__name__)

PREFIX = "/webhooks/"
LARGEST_BYTES = 5_000_000
LARGEST_UNSIGNED_BYTES = 65_536  # read only to give an answer that the sender gets to see
RETRY_SECONDS = 5
_RATE, _BURST = 5_000.0, 20_000.0  # signed deliveries per second, and at once
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,150}\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_TYPE = ("Content-Type", "application/json")

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]


class Secrets(Protocol):
    """The secrets that hold for a source (``github``, ``git``)."""

    def valid(self, source: str) -> Sequence[bytes]:
        """All that hold now, the current one first."""

    def used(self, source: str, secret: bytes) -> None:
        """This one was used just now."""


class Store(Protocol):
    """The part of the inbox that this needs."""

    def accept(self, id: str, source: str, repository: str, event: dict[str, Any]) -> object:  # noqa: A002
        """Store a delivery; what is returned is false if it was known. Durable then."""


class RefusedError(Exception):
    """An answer other than 202."""

    def __init__(self, status: str, sentence: str, *headers: tuple[str, str]) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers


@dataclass
class Receiver:
    """Takes deliveries in. ``slugs`` gives our name of a repository of GitHub (``owner/name``);
    ``known`` are our names, without it all.
    """

    inbox: Store
    secrets: Secrets
    slugs: Mapping[str, str] = field(default_factory=dict)
    largest: int = LARGEST_BYTES
    known: Collection[str] | None = None

    def __post_init__(self) -> None:
        self._names = {slug.lower(): name for slug, name in self.slugs.items()}
        self._refusals = Refusals()
        self._bucket = Bucket(_RATE, _BURST)

    def __call__(self, environ: Environ, start_response: Start) -> list[bytes]:
        """Answer one request (PEP 3333)."""
        try:
            return _answer(start_response, "202 ACCEPTED", self._receive(environ))
        except RefusedError as no:
            length = environ.get("CONTENT_LENGTH") or ""
            size = int(length) if _LENGTH.match(length) else 0
            refused.note(no.status[:3], str(environ.get("REMOTE_ADDR", "")), size)
            answer = {"error": no.sentence, "hint": ""}
            return _answer(start_response, no.status, answer, *no.headers)

    def _receive(self, environ: Environ) -> dict[str, Any]:
        source = environ["PATH_INFO"].removeprefix(PREFIX)
        if source not in ("github", "git"):
            raise RefusedError(
                "404 NOT FOUND", "webhooks come to /webhooks/github or /webhooks/git"
            )
        if environ["REQUEST_METHOD"] != "POST":
            raise RefusedError("405 METHOD NOT ALLOWED", "webhooks are posted", ("Allow", "POST"))
        body = self._signed_body(environ, source)
        name, hint = _read(environ, source, body)
        return {"id": name, "stored": self._store(name, source, hint)}

    def _signed_body(self, environ: Environ, source: str) -> bytes:
        """The raw body, once its signature holds."""
        length = environ.get("CONTENT_LENGTH") or ""
        if not _LENGTH.match(length):
            raise RefusedError("411 LENGTH REQUIRED", "the header Content-Length is needed")
        size = int(length)
        if size > self.largest:
            raise RefusedError(
                "413 REQUEST ENTITY TOO LARGE", f"the body is larger than {self.largest} bytes"
            )
        given = environ.get("HTTP_X_HUB_SIGNATURE_256", "")
        address = str(environ.get("REMOTE_ADDR", ""))
        if not well_formed(given):
            raise self._unsigned(address)
        body: bytes = environ["wsgi.input"].read(size)
        secrets = self.secrets.valid(source)
        good = [s for s, made in zip(secrets, matching(given, body, secrets), strict=True) if made]
        if not good or len(body) != size:
            raise self._unsigned(address)
        self.secrets.used(source, good[0])
        if not self._bucket.take():
            raise _too_many()
        return body

    def _unsigned(self, address: str) -> RefusedError:
        self._refusals.note(address)
        if self._refusals.too_many(address):
            return _too_many()
        return RefusedError("401 UNAUTHORIZED", "the signature does not match")

    def _store(self, name: str, source: str, hint: Hint) -> bool:
        """Store it. One of a repository that is not ours is kept too: its fate is then seen. All
        such have one lane.
        """
        event = hint.event
        if source == "github":
            repository = self._names.get(hint.where.lower(), "")
        else:
            repository = hint.where if self.known is None or hint.where in self.known else ""
        if hint.where and not repository:
            event = {**event, "unknown": hint.where}
        try:
            return bool(self.inbox.accept(name, source, repository, event))
        except (SQLAlchemyError, WaasError) as error:
            log.error("a delivery could not be stored: %s", error, extra={"delivery": name})
            retry = ("Retry-After", str(RETRY_SECONDS))
            raise RefusedError(
                "503 SERVICE UNAVAILABLE", "the delivery could not be stored", retry
            ) from error


def _answer(
    start_response: Start, status: str, answer: dict[str, Any], *headers: tuple[str, str]
) -> list[bytes]:
    body = json.dumps(answer).encode("ascii")
    start_response(status, [_TYPE, ("Content-Length", str(len(body))), *headers])
    return [body]


def _too_many() -> RefusedError:
    return RefusedError("429 TOO MANY REQUESTS", "too many", ("Retry-After", "60"))


def _read(environ: Environ, source: str, body: bytes) -> tuple[str, Hint]:
    """The delivery's id, and what it says."""
    header = "X-GitHub-Delivery" if source == "github" else "X-Delivery"
    name = environ.get("HTTP_" + header.upper().replace("-", "_"), "")
    if not _ID.match(name):
        raise RefusedError("400 BAD REQUEST", f"the header {header} must name the delivery")
    try:
        if source == "git":
            return name, read_git(body)
        kind, content = environ.get("HTTP_X_GITHUB_EVENT", ""), environ.get("CONTENT_TYPE", "")
        return name, read_github(kind, content, body)
    except EntryError as error:
        raise RefusedError("400 BAD REQUEST", error.message) from error


def before(application: Application, waas: Any) -> Application:
    """The application with the receiver ``waas.webhooks`` before it."""
    receiver = getattr(waas, "webhooks", None)
    if receiver is None:  # a test's application that has no inbox
        return application

    def composed(environ: Environ, start_response: Start) -> Iterable[bytes]:
        first = receiver if environ["PATH_INFO"].startswith(PREFIX) else application
        return first(environ, start_response)

    return composed
