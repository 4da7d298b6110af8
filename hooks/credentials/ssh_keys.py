"""Pairs of SSH keys: the private half goes into the secret store and nowhere else."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ci.errors import EntryError, SettingsError
from hooks.credentials.seams import SecretStore


def make_key_pair(store: SecretStore, name: str, comment: str) -> str:
    """Make an Ed25519 pair; return the line for ``authorized_keys``.

    A pair already kept under ``name`` is replaced. Raises ``EntryError`` for a bad name or comment.
    """
    if not comment.isprintable():
        raise EntryError("the comment of a key must be printable text on one line")
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
    store.put(name, text)
    return _public_line(key, comment)


def public_key(store: SecretStore, name: str, comment: str = "") -> str:
    """The public line of a pair that is kept. Raises ``SettingsError`` if it is not one."""
    try:
        key = load_ssh_private_key(store.read(name).encode("utf-8"), password=None)
    except ValueError:
        raise SettingsError(f"the credential {name!r} is not a private SSH key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"the credential {name!r} is not an Ed25519 key")
    return _public_line(key, comment)


def _public_line(key: Ed25519PrivateKey, comment: str) -> str:
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    return f"{public} {comment}".rstrip()
