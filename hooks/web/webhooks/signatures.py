"""Signatures of bodies: ``X-Hub-Signature-256: sha256=<hex>``, HMAC-SHA-256 over the raw body.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

_FORM = re.compile(r"sha256=[0-9a-f]{64}\Z")


def sign(secret: bytes, body: bytes) -> str:
    """The value of the header for a body."""
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()


def well_formed(given: str) -> bool:
    """Whether a header could be a signature at all: known before the body is read."""
    return _FORM.match(given) is not None


def matching(given: str, body: bytes, secrets: Iterable[bytes]) -> list[bool]:
    """For each secret whether it made this signature; always computed for all of them."""
    claimed = given.encode("latin-1", "replace")
    return [hmac.compare_digest(claimed, sign(s, body).encode("ascii")) for s in secrets]
