"""``git-access.yaml`` in the service home: who may do what with the repositories that we host.

everyone: read                   # all who have a token or a key: none, read, propose
users:
  ada:
    keys: [ssh-ed25519 AAAA… ada@laptop]
    rights: {workflow-registry: merge, software-catalog: propose}

``read`` is to clone and fetch, ``propose`` to push branches too, ``merge`` to move main too. Who
writes to the repositories as an account of this machine needs no rights here.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ci.documents import load
from ci.errors import EntryError, SettingsError
from ci.located import Located, nearest

FILE_NAME = "git-access.yaml"
LEVELS = ("none", "read", "propose", "merge")
ALL = "*"
_USER = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)"
    r"@openssh\.com) [A-Za-z0-9+/]{40,2000}={0,2}( [ -~]{0,200})?"
)
_NEEDED = {"read": "read", "build": "propose", "merge": "merge", "deploy": "merge"}


@dataclass(frozen=True, slots=True)
class GitUser:
    """A user's public keys, and a level by repository (``*``: all)."""

    keys: tuple[str, ...] = ()
    rights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """What the file says."""

    users: Mapping[str, GitUser] = field(default_factory=dict)
    everyone: str = "read"

    def level(self, user: str, repository: str) -> str:
        """The level of a user: one of ``LEVELS``."""
        rights = self.users.get(user, GitUser()).rights
        given = rights.get(repository, rights.get(ALL, "none"))
        return max(given, self.everyone, key=LEVELS.index)

    def may(self, user: str, repository: str, right: str) -> bool:
        """Whether that is enough for one of ``read``, ``build``, ``merge``, ``deploy``."""
        return at_least(self.level(user, repository), _NEEDED[right])


def at_least(level: str, needed: str) -> bool:
    """Whether a level includes another."""
    return LEVELS.index(level) >= LEVELS.index(needed)


class AccessFile:
    """The file: read when it changed, written whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, int], Access] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self.path.is_file()

    def read(self) -> Access:
        """What it says now; the usual if there is none. Raises ``SettingsError`` with the place."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if self._known is None or self._known[0] != stamp:
                self._known = stamp, read_access(self.path.read_bytes(), str(self.path))
        except FileNotFoundError:
            return Access()
        except OSError as error:
            raise SettingsError(f"cannot read {self.path}: {error.strerror}") from error
        except EntryError as error:
            place = f"{error.path}:{error.line}" if error.line else str(self.path)
            raise SettingsError(f"{place}: {error.message}", hint=error.hint) from error
        return self._known[1]

    def write(self, access: Access) -> None:
        """Put it in place of the one before; only we can read it."""
        users = {
            name: {"keys": list(user.keys), "rights": dict(user.rights)}
            for name, user in sorted(access.users.items())
        }
        text = yaml.safe_dump({"everyone": access.everyone, "users": users}, sort_keys=False)
        part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)


def read_access(data: bytes, path: str) -> Access:
    """Read the file. Raises ``EntryError`` with the place of what is wrong."""
    items = load(data, path).only(("everyone", "users"), FILE_NAME)
    users = items["users"].mapping("users") if "users" in items else {}
    for name in users:
        if not _USER.fullmatch(name):
            raise items["users"].key_error(name, f"{name[:80]!r} cannot be a user's name")
    everyone = items["everyone"].string("everyone") if "everyone" in items else "read"
    if everyone not in LEVELS[:-1]:
        hint = f"one of {', '.join(LEVELS[:-1])}"
        raise items["everyone"].error(f"everyone: {everyone[:40]!r}", hint=hint)
    return Access({name: _user(name, given) for name, given in users.items()}, everyone)


def _user(name: str, given: Located) -> GitUser:
    items = given.only(("keys", "rights"), f"users: {name}")
    listed = items["keys"].sequence("keys") if "keys" in items else []
    for key in listed:
        if not is_key(key.string(f"{name}: a key")):
            raise key.error(f"{name}: not a public key of OpenSSH's form")
    rights = items["rights"].mapping("rights") if "rights" in items else {}
    for level in rights.values():
        if level.text not in LEVELS:
            raise level.error(f"{name}: no such right", hint=nearest(level.text[:40], LEVELS))
    return GitUser(tuple(k.text for k in listed), {r: level.text for r, level in rights.items()})


def is_key(text: str) -> bool:
    """Whether it is a public key in one line, without options: sshd(8), AUTHORIZED_KEYS."""
    return _KEY.fullmatch(text) is not None


def check_user(name: str) -> str:
    """The name. Raises ``EntryError`` if no user can be called so."""
    if not _USER.fullmatch(name):
        raise EntryError(f"{name[:80]!r} is not a user's name", hint="lower case, digits, _ . -")
    return name


def authorized_keys(access: Access, command: list[str]) -> str:
    """Lines of authorized_keys: each key may only run ``command`` for its user, and nothing else.

    ``restrict`` forbids terminals, forwarding and all that may come: sshd(8).
    """
    lines = []
    for name, user in sorted(access.users.items()):
        words = " ".join(shlex.quote(word) for word in [*command, name])
        escaped = words.replace("\\", "\\\\").replace('"', '\\"')
        lines += [f'restrict,command="{escaped}" {key}' for key in user.keys]
    return "".join(f"{line}\n" for line in lines)
