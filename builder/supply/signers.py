"""Public keys that may sign, and OpenSSH's file of them (``ssh-keygen(1)``, ALLOWED SIGNERS).

A line is ``principals [options] ssh-ed25519 base64 [comment]``. Every line counts, whatever its
principals: the file is of this service alone. What is not understood is refused, since to skip it
would refuse good images, or take a key that was limited on purpose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ci.errors import SettingsError

KEY_TYPE = b"ssh-ed25519"
PRINCIPAL = "hpcwaas"

_PREFIX = struct.pack(">I", len(KEY_TYPE)) + KEY_TYPE + struct.pack(">I", 32)
_FIELD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_OPTION = re.compile(r'(?P<name>[A-Za-z-]+)(?:="(?P<value>[^"]*)")?(?:,|$)')
_TIME = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?(Z?)", re.ASCII)
_KEY_TYPE_NAME = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+", re.ASCII)
_OPTIONS = frozenset({"namespaces", "valid-after", "valid-before"})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key (``raw``: 32 bytes) and when it may sign what; empty or None: always, all."""

    raw: bytes
    principals: str = PRINCIPAL
    namespaces: str = ""
    valid_after: datetime | None = None
    valid_before: datetime | None = None
    comment: str = ""

    @property
    def blob(self) -> bytes:
        """The key as SSH sends it (RFC 8709)."""
        return _PREFIX + self.raw

    @property
    def fingerprint(self) -> str:
        """The SHA-256, as ``ssh-keygen -l`` shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode("ascii")
        return f"SHA256:{digest.rstrip('=')}"

    @property
    def text(self) -> str:
        """Type and key, as they stand in a ``.pub`` file."""
        return f"{KEY_TYPE.decode()} {base64.b64encode(self.blob).decode('ascii')}"

    def refuses(self, namespace: str, moment: datetime) -> str:
        """Return nothing if it may sign this at that time, else what completes "a key that …"."""
        if self.namespaces and not _matches(namespace, self.namespaces):
            return f"may not sign {namespace}"
        if self.valid_after and moment < self.valid_after:
            return f"is not valid before {self.valid_after:%Y-%m-%d %H:%M}"
        if self.valid_before and moment > self.valid_before:
            return f"is not valid after {self.valid_before:%Y-%m-%d %H:%M}"
        return ""


def read_signers(text: str, path: str = "allowed_signers") -> tuple[PublicKey, ...]:
    """Read a file of allowed signers; ``path`` is for messages.

    Raises:
        SettingsError: with the line that is not understood, or if there is no key at all.
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            try:
                found.append(_signer(stripped))
            except ValueError as error:
                raise SettingsError(f"{path}:{number}: {error}") from None
    if not found:
        raise SettingsError(f"{path} names no key")
    return tuple(found)


def read_signers_file(path: Path) -> tuple[PublicKey, ...]:
    """Read the file of allowed signers. Raises ``SettingsError``."""
    try:
        return read_signers(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        hint = "`waas init` on the service home makes it"
        raise SettingsError(f"cannot read {path}: {error}", hint=hint) from error


def write_signers(keys: Sequence[PublicKey], namespace: str, moment: datetime) -> str:
    """Return a file of those keys that may sign in a namespace at that time.

    It has no options but ``namespaces``, so that OpenSSH from 8.1 on reads it.
    """
    lines = (
        f'{PRINCIPAL} namespaces="{namespace}" {key.text}\n'
        for key in sorted(keys, key=lambda key: key.raw)
        if not key.refuses(namespace, moment)
    )
    return "".join(dict.fromkeys(lines))


def _signer(line: str) -> PublicKey:
    fields = _FIELD.findall(line)
    if '"' in _FIELD.sub("", line):
        raise ValueError("a quotation mark is not closed")
    principals, *rest = fields
    options = ""
    if len(rest) > 2 and not _KEY_TYPE_NAME.fullmatch(rest[0]):
        options = rest.pop(0)
    if len(rest) < 2 or not _KEY_TYPE_NAME.fullmatch(rest[0]):
        raise ValueError("it is not: principals [options] ssh-ed25519 key [comment]")
    if rest[0] != KEY_TYPE.decode():
        raise ValueError(f"{rest[0]} keys are not supported, only ssh-ed25519")
    found = _options(options)
    return PublicKey(
        raw=_raw(rest[1]),
        principals=principals.strip('"'),
        namespaces=found.get("namespaces", ""),
        valid_after=_moment(found.get("valid-after")),
        valid_before=_moment(found.get("valid-before")),
        comment=" ".join(rest[2:]),
    )


def _raw(text: str) -> bytes:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key is not base64") from None
    if not blob.startswith(_PREFIX) or len(blob) != len(_PREFIX) + 32:
        raise ValueError("the key is not an Ed25519 key")
    return blob[len(_PREFIX) :]


def _options(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        option = _OPTION.match(text, position)
        if not option:
            raise ValueError(f"the options {text!r} are not understood")
        name, value = option["name"].lower(), option["value"]
        if name not in _OPTIONS or name in found or not value:
            raise ValueError(f"the option {name!r} is not supported, doubled, or has no value")
        found[name] = value
        position = option.end()
    return found


def _moment(text: str | None) -> datetime | None:
    """Read YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z]; without Z it is this machine's local time."""
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no time")
    day, time, utc = found.groups()
    try:
        naive = datetime.strptime(day + (time or "0000").ljust(6, "0"), "%Y%m%d%H%M%S")
        return naive.replace(tzinfo=UTC) if utc else naive.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time") from None


def _matches(text: str, patterns: str) -> bool:
    """Match a pattern-list (ssh_config(5), PATTERNS): one must match, and none with ``!``."""
    matched = False
    for pattern in patterns.split(","):
        negated = pattern.startswith("!")
        form = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(form, text, re.DOTALL):
            if negated:
                return False
            matched = True
    return matched
