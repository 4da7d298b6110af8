"""From a payload of a webhook to the small event that is kept; pure.

An event has the keys ``event``, ``ref``, ``number``, ``remark``, ``action``, ``head`` and
``pusher``, as far as they apply; each is checked for its type, length and alphabet. Payloads:
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ci.errors import EntryError

Json = Mapping[str, Any]

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}(\[bot\])?\Z")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_ACTION = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}\Z")
# git-check-ref-format(1), as far as it matters here; a branch of ours has up to 250 characters
REF = re.compile(
    r"refs/(heads|tags)/(?!.*(\.\.|//|@\{))[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]{1,250}\Z"
)
_LARGEST_NUMBER = 2**31 - 1
_LARGEST_ID = 2**63 - 1


def event_of(kind: str, payload: Json) -> tuple[str, dict[str, Any]]:
    """GitHub's owner/name (empty for an event of an account) and the small event.

    ``kind`` is the header ``X-GitHub-Event``. Raises ``EntryError`` for what GitHub does not send,
    and nothing else.
    """
    if not _EVENT.match(kind):
        raise EntryError("the header X-GitHub-Event must name the event")
    reader = _READERS.get(kind)
    event = {"event": kind} | (_who(payload) | reader(payload) if reader else {})
    repository = payload.get("repository")
    slug = text(_part(payload, "repository"), "full_name", _SLUG) if repository else ""
    return slug, event


def _push(payload: Json) -> dict[str, Any]:
    return {"ref": text(payload, "ref", REF), "head": text(payload, "after", COMMIT)}


def _pull_request(payload: Json) -> dict[str, Any]:
    pull = _part(payload, "pull_request")
    head = text(_part(pull, "head"), "sha", COMMIT)
    return {"number": _number(pull, "number", _LARGEST_NUMBER), "head": head}


def _review(payload: Json) -> dict[str, Any]:
    number = _number(_part(payload, "pull_request"), "number", _LARGEST_NUMBER)
    return {"number": number, "remark": str(_number(_part(payload, "review"), "id", _LARGEST_ID))}


def _comment(payload: Json) -> dict[str, Any]:
    """A comment on an issue has no number here: only those on pull requests are of use."""
    issue = _part(payload, "issue")
    remark = {"remark": str(_number(_part(payload, "comment"), "id", _LARGEST_ID))}
    if not issue.get("pull_request"):
        return remark
    return remark | {"number": _number(issue, "number", _LARGEST_NUMBER)}


def _check(name: str) -> Callable[[Json], dict[str, Any]]:
    """Of a check; GitHub lists no pull requests for those of forks: then the head must do."""

    def read(payload: Json) -> dict[str, Any]:
        check = _part(payload, name)
        found = {"head": text(check, "head_sha", COMMIT)}
        pulls = check.get("pull_requests") or []
        if isinstance(pulls, list) and len(pulls) == 1 and isinstance(pulls[0], dict):
            return found | {"number": _number(pulls[0], "number", _LARGEST_NUMBER)}
        return found

    return read


def _named_ref(payload: Json) -> dict[str, Any]:
    folder = {"branch": "heads", "tag": "tags"}.get(str(payload.get("ref_type")))
    if folder is None:  # `create` has had "repository" as well
        return {}
    return {"ref": text({"ref": f"refs/{folder}/{payload.get('ref')}"}, "ref", REF)}


def _who(payload: Json) -> dict[str, Any]:
    """Who did what, of the events that are looked at."""
    found = {}
    if payload.get("action"):
        found["action"] = text(payload, "action", _ACTION)
    if payload.get("sender"):
        found["pusher"] = text(_part(payload, "sender"), "login", LOGIN)
    return found


def _account(_payload: Json) -> dict[str, Any]:
    return {}


_READERS: dict[str, Callable[[Json], dict[str, Any]]] = {
    "push": _push,
    "pull_request": _pull_request,
    "pull_request_review": _review,
    "issue_comment": _comment,
    "check_run": _check("check_run"),
    "check_suite": _check("check_suite"),
    "create": _named_ref,
    "delete": _named_ref,
    "installation": _account,
    "installation_repositories": _account,
}


def _part(payload: Json, name: str) -> Json:
    part = payload.get(name)
    if not isinstance(part, dict):
        raise EntryError(f"the payload's {name!r} must be an object")
    return part


def text(payload: Json, name: str, pattern: re.Pattern[str]) -> str:
    """A text of a payload. Raises ``EntryError`` if it does not have this form."""
    value = payload.get(name)
    if not isinstance(value, str) or not pattern.match(value):
        raise EntryError(f"the payload's {name!r} is missing or is not one that we take")
    return value


def _number(payload: Json, name: str, largest: int) -> int:
    value = payload.get(name)
    if type(value) is not int or not 0 < value <= largest:
        raise EntryError(f"the payload's {name!r} must be a positive number")
    return value
