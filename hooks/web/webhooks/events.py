"""From a signed body to the small event that is kept (``hooks.forges.github.events``); pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from ci.errors import EntryError
from hooks.forges.github.events import COMMIT, LOGIN, REF, Json, event_of, text

_OURS = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}\Z")
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
    payload = _object(_payload_of(body) if content_type.startswith(_FORM) else body)
    return Hint(*event_of(kind, payload))


def read_git(body: bytes) -> Hint:
    """Read what a plain git server elsewhere sends: ``{"repository","ref","old","new","pusher"}``.

    ``old`` and ``new`` are commits (40 hex digits; zeros for none) and may be left out, as may
    ``pusher``. Raises ``EntryError``.
    """
    payload = _object(body)
    event = {"event": "push", "ref": text(payload, "ref", REF)}
    for name in ("old", "new"):
        if name in payload:
            text(payload, name, COMMIT)
    if "new" in payload:
        event["head"] = payload["new"]
    if "pusher" in payload:
        event["pusher"] = text(payload, "pusher", LOGIN)
    return Hint(text(payload, "repository", _OURS), event)


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
