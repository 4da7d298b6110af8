"""Deliveries by HTTP: nothing is parsed, logged or written before the signature holds."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, Unauthorized

api = Blueprint("webhooks", __name__)

LARGEST_BYTES = 1_000_000
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,150}\Z")


def sign(secret: bytes, body: bytes) -> str:
    """``sha256=<hex>``: HMAC-SHA-256 over the raw body, in the form that GitHub made usual."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


@api.post("/webhooks/git")
def git() -> tuple[Response, int]:
    """A push to a bare repository elsewhere: ``{"repository", "ref", "old", "new", "pusher"}``.

    202 stored or already known, 401 bad signature, 400 unreadable, 413 too large.
    """
    if (request.content_length or 0) > LARGEST_BYTES:
        raise RequestEntityTooLarge("the body is larger than 1 MB")
    body = request.stream.read(LARGEST_BYTES + 1)
    if len(body) > LARGEST_BYTES:
        raise RequestEntityTooLarge("the body is larger than 1 MB")
    waas: Any = current_app.extensions["waas"]
    given = request.headers.get("X-Hub-Signature-256", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, sign(waas.webhook_secret, body).encode()):
        raise Unauthorized("the signature does not match")
    event = _event(body)
    name = request.headers.get("X-Delivery", "")
    if not _ID.match(name):
        raise BadRequest("the header X-Delivery must name the delivery")
    new = waas.inbox.accept(name, "webhook", str(event.get("repository", "")), event)
    return jsonify(id=name, stored=new), 202


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(event, dict):
        raise BadRequest("the body must be a JSON object")
    return event
