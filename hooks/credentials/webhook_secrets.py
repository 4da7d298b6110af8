"""The secrets that webhooks are signed with: two may hold at a time, so that they can be changed.

A rotation makes a new secret and lets the one before hold until it is retired, or until the next
rotation; between the two the other side is given the new one. Both lie sealed, as one document,
under ``webhook-github`` and ``webhook-git``. When one was last used is the time of a file's last
change: a running service touches it at most once a minute, so that other programs can tell.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from builder.store.files import locked, sync
from ci.errors import EntryError, SettingsError
from hooks.credentials.seams import SecretStore

log = logging.getLogger(__name__)

SOURCES = ("github", "git")
CLEAR_TEXT = "webhook"  # the file of older versions, of the source `git`
_LOOK_AGAIN = 1.0  # seconds
_TOUCH_AGAIN = 60.0  # seconds
_HINT = "run `waas init DIR` on the service home: it makes what is missing"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A secret, its public name and when it was made (ISO 8601, UTC)."""

    name: str
    made: str
    secret: str

    def __repr__(self) -> str:
        return f"WebhookSecret({self.name!r}, {self.made!r})"


@dataclass(frozen=True, slots=True)
class Held:
    """A secret that holds, as it may be shown. ``used`` is empty if it was not used yet."""

    source: str
    name: str
    holds: str  # current, previous
    made: str
    used: str


class WebhookSecrets:
    """Secrets in the store; ``folder`` is for a lock and for when they were used.

    Any number of threads and processes may use one store. All methods but ``valid`` and ``used``
    raise ``SettingsError`` when the store or the folder cannot be used, and ``EntryError`` for a
    source that is not one of ``SOURCES``.
    """

    def __init__(
        self, store: SecretStore, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._folder, self._clock = store, folder, clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, list[WebhookSecret]]] = {}  # looked at when
        self._touched: dict[str, float] = {}

    def make(self) -> None:
        """Make what is missing. The clear-text file of older versions is sealed, then removed."""
        with self._alone():
            self._take_over(self._folder / CLEAR_TEXT)
            for source in SOURCES:
                if _name(source) not in self._store.list():
                    self._put(source, [_new(secrets.token_hex(32))])

    def current(self, source: str) -> str:
        """The secret to give to the other side."""
        return self._read(source)[0].secret

    def rotate(self, source: str) -> None:
        """Make a new current secret; the one before still holds, the one before that no more."""
        with self._alone():
            current, *older = self._read(source)
            self._put(source, [_new(secrets.token_hex(32)), current])
            self._forget(source, older)

    def retire(self, source: str) -> bool:
        """Let only the current secret hold; False if it was the only one."""
        with self._alone():
            current, *older = self._read(source)
            if older:
                self._put(source, [current])
                self._forget(source, older)
            return bool(older)

    def held(self) -> list[Held]:
        """All that hold, without the secrets."""
        return [
            Held(source, s.name, holds, s.made, self._last_used(source, s))
            for source in SOURCES
            for holds, s in zip(("current", "previous"), self._read(source), strict=False)
        ]

    def valid(self, source: str) -> Sequence[bytes]:
        """All that hold now, the current one first; a rotation is noticed within a second.

        None if they cannot be read; those of before if they cannot be read any more.
        """
        return [s.secret.encode("utf-8") for s in self._recent(source)]

    def used(self, source: str, secret: bytes) -> None:
        """Note that this one was used just now."""
        for known in self._recent(source):
            if known.secret.encode("utf-8") != secret:
                continue
            now = self._clock()
            if now - self._touched.get(known.name, -_TOUCH_AGAIN) >= _TOUCH_AGAIN:
                self._touched[known.name] = now
                with suppress(OSError):  # only to be shown
                    self._mark(source, known).touch(mode=0o600)

    def _recent(self, source: str) -> list[WebhookSecret]:
        looked, known = self._known.get(source, (float("-inf"), []))
        if self._clock() - looked < _LOOK_AGAIN or not self._lock.acquire(blocking=not known):
            return known
        try:
            known = self._read(source)
        except SettingsError as error:
            log.error("the secrets of the webhooks cannot be read: %s", error)
        finally:
            self._known[source] = (self._clock(), known)
            self._lock.release()
        return known

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with locked(self._folder / ".webhooks.lock"):
                yield
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot change the secrets of the webhooks: {error}") from error

    def _read(self, source: str) -> list[WebhookSecret]:
        if _name(source) not in self._store.list():
            raise SettingsError(f"there is no secret for webhooks of {source}", hint=_HINT)
        try:
            return [WebhookSecret(**one) for one in json.loads(self._store.read(_name(source)))]
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"the secrets of {source}'s webhooks are not in a form that we know",
                hint="a newer version of hpcwaas has written them: use that one",
            ) from error

    def _put(self, source: str, held: list[WebhookSecret]) -> None:
        self._store.put(_name(source), json.dumps([asdict(one) for one in held]))

    def _take_over(self, clear: Path) -> None:
        """Whenever this is broken off, the next call ends it."""
        if not clear.is_file():
            return
        text = clear.read_text(encoding="utf-8").strip()
        if _name("git") not in self._store.list() and text:
            self._put("git", [_new(text)])
        clear.unlink()
        sync(self._folder)

    def _mark(self, source: str, secret: WebhookSecret) -> Path:
        return self._folder / f".webhook-{source}-{secret.name}.used"

    def _forget(self, source: str, gone: list[WebhookSecret]) -> None:
        for secret in gone:
            self._mark(source, secret).unlink(missing_ok=True)

    def _last_used(self, source: str, secret: WebhookSecret) -> str:
        try:
            seconds = os.stat(self._mark(source, secret)).st_mtime
        except OSError:
            return ""
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _name(source: str) -> str:
    if source not in SOURCES:
        raise EntryError(f"{source!r} sends no webhooks", hint=f"known: {', '.join(SOURCES)}")
    return f"webhook-{source}"


def _new(secret: str) -> WebhookSecret:
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return WebhookSecret(secrets.token_hex(4), made, secret)
