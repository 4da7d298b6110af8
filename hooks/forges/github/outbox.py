"""The webhooks that GitHub could not deliver to us, from its own record of three days.

https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook and
…/rest/repos/webhooks#list-deliveries-for-a-repository-webhook: the newest first; a redelivery
is an entry of its own with the same GUID.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ci.errors import EntryError
from hooks.forges.github.connection import Connection
from hooks.forges.github.events import event_of
from hooks.forges.github.failures import AnsweredError
from hooks.forges.seams import MissedDelivery

log = logging.getLogger(__name__)

MOST = 100  # missed ones at a time; the next call goes on
_PAGES = 10
_ENDPOINT = "/webhooks/github"
_GUID = re.compile(r"[0-9A-Za-z-]{8,80}\Z")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


class Attempt(NamedTuple):
    """One delivery of an event. ``id`` grows; ``repository`` is GitHub's number of it."""

    id: int
    guid: str
    kind: str
    delivered: bool
    repository: int


class GitHubOutbox:
    """The deliveries that concern one repository.

    An App has one webhook for all its repositories; with a token it is the repository's own, which
    takes the right to read webhooks. Without that nothing is ever missed as far as this knows.
    """

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._slug = connection, slug
        self._repository = f"/repos/{slug}"
        self._number = 0  # GitHub's, of the repository
        self._warned = False

    def missed(self, since: str) -> tuple[Sequence[MissedDelivery], str]:
        """The oldest first, each with the small event in place of its payload.

        The mark is the number of the newest attempt that was looked at. An empty one stands for
        all that GitHub still knows.
        """
        path = self._path()
        if not path:
            return (), since
        after = int(since) if since.isdigit() else 0
        attempts = self._attempts(path, after)
        failed = [a for a in newest_failed(attempts) if self._concerns(a)]
        found = [self._delivery(path, attempt) for attempt in failed[:MOST]]
        if len(failed) > MOST:
            mark = failed[MOST - 1].id
        else:
            mark = max((a.id for a in attempts), default=after)
        return [one for one in found if one is not None], str(mark)

    def _attempts(self, path: str, after: int) -> list[Attempt]:
        found: list[Attempt] = []
        pages = self._connection.pages(path, _attempts, most=_PAGES, as_app=self._connection.is_app)
        for page in pages:
            found += [attempt for attempt in page if attempt.id > after]
            if any(attempt.id <= after for attempt in page):
                break
        return found

    def _path(self) -> str:
        """Where the deliveries are listed; empty if we may not see them."""
        if self._connection.is_app:
            return "/app/hook/deliveries"
        try:
            hooks = [h for page in self._connection.pages(f"{self._repository}/hooks", _hooks)
                     for h in page]  # fmt: skip
        except AnsweredError as error:
            if error.status not in {403, 404}:
                raise
            self._warn("our token may not see the repository's webhooks")
            return ""
        if not hooks:
            self._warn(f"the repository has no webhook to …{_ENDPOINT}")
            return ""
        return f"{self._repository}/hooks/{min(hooks)}/deliveries"

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            text = "%s: webhooks that were not delivered cannot be found: %s"
            log.warning(text, self._slug, why)

    def _concerns(self, attempt: Attempt) -> bool:
        if not self._connection.is_app:
            return True
        if not self._number:
            self._number = self._connection.get(self._repository, _id)
        return attempt.repository == self._number

    def _delivery(self, path: str, attempt: Attempt) -> MissedDelivery | None:
        """The whole of a delivery; what cannot be read is at least a hint that there was one."""
        try:
            payload = self._connection.get(
                f"{path}/{attempt.id}", _payload, as_app=self._connection.is_app
            )
        except AnsweredError as error:
            if error.status != 404:
                raise
            return None
        try:
            event = event_of(attempt.kind, payload)[1]
        except EntryError:
            event = {"event": attempt.kind}
        return MissedDelivery(attempt.guid, attempt.kind, event)


def newest_failed(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Of each event the newest attempt, if it failed; the oldest first."""
    newest: dict[str, Attempt] = {}
    for attempt in sorted(attempts):
        newest[attempt.guid] = attempt
    return sorted(attempt for attempt in newest.values() if not attempt.delivered)


def _attempts(deliveries: Any) -> list[Attempt]:
    return [
        Attempt(
            int(one["id"]),
            str(one["guid"]),
            str(one["event"]),
            200 <= int(one["status_code"] or 0) < 300,
            int(one["repository_id"] or 0),
        )
        for one in deliveries
        if _GUID.match(one["guid"]) and _KIND.match(one["event"])
    ]


def _hooks(hooks: Any) -> list[int]:
    urls = [(int(hook["id"]), str((hook["config"] or {}).get("url") or "")) for hook in hooks]
    return [number for number, url in urls if url.rstrip("/").endswith(_ENDPOINT)]


def _id(repository: Any) -> int:
    return int(repository["id"])


def _payload(delivery: Any) -> dict[str, Any]:
    payload = delivery["request"]["payload"]
    return payload if isinstance(payload, dict) else {}
