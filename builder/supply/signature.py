"""OpenSSH signatures with Ed25519: ``ssh-keygen -Y verify`` takes what ``sign`` makes.

Format: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig. Stricter than it
in one thing: a signature has one text only, the one that ``ssh-keygen`` writes, so that no byte
of the file can be changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from builder.supply.signers import KEY_TYPE, PublicKey
from ci.errors import SettingsError

_MAGIC, _VERSION = b"SSHSIG", 1
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_COLUMNS = 70  # of base64, as ssh-keygen breaks it
_MAX_TEXT = 4096  # characters; one with Ed25519 has about 300
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}


def new_key() -> str:
    """Make a private key and return its text, in OpenSSH's format and not encrypted."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")


def parse_key(text: str) -> Ed25519PrivateKey:
    """Read the text of a private key. Raises ``SettingsError`` unless it is one that can sign."""
    try:
        key = load_ssh_private_key(text.encode("utf-8"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        problem = "the key that signs images is not a private SSH key without a passphrase"
        raise SettingsError(problem) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("the key that signs images is not an Ed25519 key")
    return key


def public_key(key: Ed25519PrivateKey) -> PublicKey:
    """Return the public half of a key."""
    return PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def sign(data: bytes, key: Ed25519PrivateKey, namespace: str) -> str:
    """Return the signature of some data, as text. ``namespace`` says what it is for."""
    space = namespace.encode("utf-8")
    signature = _string(KEY_TYPE) + _string(key.sign(_to_be_signed(data, space, b"sha512")))
    blob = _MAGIC + struct.pack(">I", _VERSION) + _string(public_key(key).blob)
    for part in (space, b"", b"sha512", signature):
        blob += _string(part)
    return _armored(blob)


def verify(
    data: bytes,
    signature: str,
    allowed: Sequence[PublicKey],
    namespace: str,
    *,
    at: datetime | None = None,
) -> PublicKey:
    """Return the allowed key that has signed the data.

    A key counts if it may sign in the namespace and is valid ``at`` that time (now if None).

    Raises:
        SettingsError: none of them has, or it is no signature.
    """
    public, space, hashed, raw = _read(signature)
    if space != namespace.encode("utf-8"):
        raise SettingsError(f"the signature is not for {namespace}, but for {space!r}")
    moment = at or datetime.now(UTC)
    known = [key for key in allowed if key.raw == public]
    if not known:
        raise SettingsError(
            f"it is signed by a key that may not: {PublicKey(public).fingerprint}",
            hint="the allowed signers name the keys that may",
        )
    key = next((k for k in known if not k.refuses(namespace, moment)), None)
    if key is None:
        raise SettingsError(f"it is signed by a key that {known[0].refuses(namespace, moment)}")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, _to_be_signed(data, space, hashed))
    except (InvalidSignature, ValueError):
        raise SettingsError("the signature is not one of this content") from None
    return key


def _read(signature: str) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the public key, namespace, hash algorithm and raw signature in a signature."""
    wrong = SettingsError("it is not an OpenSSH signature with Ed25519, as ssh-keygen writes it")
    lines = signature[:_MAX_TEXT].split("\n")
    try:
        blob = base64.b64decode("".join(lines[1:-2]), validate=True)
        if _armored(blob) != signature or blob[: len(_MAGIC)] != _MAGIC:
            raise wrong
        version = struct.unpack_from(">I", blob, len(_MAGIC))[0]
        key, space, reserved, hashed, told = _strings(blob[len(_MAGIC) + 4 :], 5)
        key_type, public = _strings(key, 2)
        kind, raw = _strings(told, 2)
    except (binascii.Error, struct.error, ValueError):
        raise wrong from None
    if version != _VERSION or reserved or (key_type, kind) != (KEY_TYPE, KEY_TYPE):
        raise wrong
    if len(public) != 32 or len(raw) != 64 or hashed not in _HASHES or not space:
        raise wrong
    return public, space, hashed, raw


def _to_be_signed(data: bytes, namespace: bytes, hashed: bytes) -> bytes:
    digest = _HASHES[hashed](data).digest()
    return _MAGIC + b"".join(map(_string, (namespace, b"", hashed, digest)))


def _armored(blob: bytes) -> str:
    text = base64.b64encode(blob).decode("ascii")
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _string(content: bytes) -> bytes:
    """A string of the SSH protocol (RFC 4251, section 5)."""
    return struct.pack(">I", len(content)) + content


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Take a blob apart that is just so many strings. Raises ``ValueError``, ``struct.error``."""
    found, position = [], 0
    for _ in range(count):
        start = position + 4
        position = start + struct.unpack_from(">I", blob, position)[0]
        found.append(blob[start:position])
    if position != len(blob):
        raise ValueError("too short or too long")
    return found
