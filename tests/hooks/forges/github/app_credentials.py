"""A token, and an App's key with the tokens that GitHub would give for it."""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from scripted_http import Answer

TOKEN = "ghp_0123456789abcdef"
_LATER = "2100-01-01T00:00:00Z"


@lru_cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def fresh(token: str, ends: str = _LATER) -> Answer:
    return Answer(201, {"token": token, "expires_at": ends, "permissions": {}})
