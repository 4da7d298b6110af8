"""From a signed payload to the small event that is kept; pure.

An event has the keys ``event``, ``ref``, ``number``, ``remark``, ``action``, ``head`` and
``pusher``, as far as they apply; each is checked for its type, length and alphabet. Payloads:
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from ci.errors import EntryError

Json = Mapping[str, Any]

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_ACTION = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}(\[bot\])?\Z")
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}\Z")
_OURS = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}\Z")
# git-check-ref-format(1), as far as it matters here; a branch of ours has up to 250 characters
_REF = re.compile(
    r"refs/(heads|tags)/(?!.*(\.\.|//|@\{))[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]{1,250}\Z"
)
_LARGEST_NUMBER = 2**31 - 1
_LARGEST_ID = 2**63 - 1
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Hint:
    """What a delivery says: its event, and where. ``where`` is GitHub's owner/name, or our name of
    a repository; it is empty for an event of an account.
    """

    where: str
    event: dict[str, Any]


def read_github(kind: str, content_type: str, body: bytes) -> Hint:
    """Read a webhook of GitHub. ``kind`` is its ``X-GitHub-Event``. Raises ``EntryError``."""
    if not _EVENT.match(kind):
        raise EntryError("the header X-GitHub-Event must name the event")
    payload = _object(_payload_of(body) if content_type.startswith(_FORM) else body)
    reader = _READERS.get(kind)
    event = {"event": kind} | (_who(payload) | reader(payload) if reader else {})
    repository = payload.get("repository")
    where = _text(_part(payload, "repository"), "full_name", _SLUG) if repository else ""
    return Hint(where, event)


def read_git(body: bytes) -> Hint:
    """Read what a plain git server elsewhere sends: ``{"repository","ref","old","new","pusher"}``.

    ``old`` and ``new`` are commits (40 hex digits; zeros for none) and may be left out, as may
    ``pusher``. Raises ``EntryError``.
    """
    payload = _object(body)
    event = {"event": "push", "ref": _text(payload, "ref", _REF)}
    for name in ("old", "new"):
        if name in payload:
            _text(payload, name, _COMMIT)
    if "new" in payload:
        event["head"] = payload["new"]
    if "pusher" in payload:
        event["pusher"] = _text(payload, "pusher", _LOGIN)
    return Hint(_text(payload, "repository", _OURS), event)


def _payload_of(form: bytes) -> bytes:
    try:
        values = parse_qs(form, max_num_fields=8).get(b"payload", [])
    except ValueError as error:
        raise EntryError("the form cannot be read") from error
    if len(values) != 1:
        raise EntryError("the form must have one field `payload`")
    return values[0]


def _object(body: bytes) -> Json:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EntryError("the body is not JSON") from error
    if not isinstance(payload, dict):
        raise EntryError("the body must be a JSON object")
    return payload


def _push(payload: Json) -> dict[str, Any]:
    return {"ref": _text(payload, "ref", _REF), "head": _text(payload, "after", _COMMIT)}


def _pull_request(payload: Json) -> dict[str, Any]:
    pull = _part(payload, "pull_request")
    head = _text(_part(pull, "head"), "sha", _COMMIT)
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
        found = {"head": _text(check, "head_sha", _COMMIT)}
        pulls = check.get("pull_requests") or []
        if isinstance(pulls, list) and len(pulls) == 1 and isinstance(pulls[0], dict):
            return found | {"number": _number(pulls[0], "number", _LARGEST_NUMBER)}
        return found

    return read


def _named_ref(payload: Json) -> dict[str, Any]:
    folder = {"branch": "heads", "tag": "tags"}.get(str(payload.get("ref_type")))
    if folder is None:  # `create` has had "repository" as well
        return {}
    return {"ref": _text({"ref": f"refs/{folder}/{payload.get('ref')}"}, "ref", _REF)}


def _who(payload: Json) -> dict[str, Any]:
    """Who did what, of the events that are looked at."""
    found = {}
    if payload.get("action"):
        found["action"] = _text(payload, "action", _ACTION)
    if payload.get("sender"):
        found["pusher"] = _text(_part(payload, "sender"), "login", _LOGIN)
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


def _text(payload: Json, name: str, pattern: re.Pattern[str]) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not pattern.match(value):
        raise EntryError(f"the payload's {name!r} is missing or is not one that we take")
    return value


def _number(payload: Json, name: str, largest: int) -> int:
    value = payload.get(name)
    if type(value) is not int or not 0 < value <= largest:
        raise EntryError(f"the payload's {name!r} must be a positive number")
    return value
