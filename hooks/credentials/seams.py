"""The seam of the secret store."""

from __future__ import annotations

import re
from typing import Protocol

from ci.errors import EntryError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class SecretStore(Protocol):
    """Keeps small texts that nobody else may read. Values never show in logs or errors.

    All methods raise ``EntryError`` for a name that cannot be, ``SettingsError`` when the store
    cannot be used.
    """

    def put(self, name: str, value: str) -> None:
        """Keep a value under a name, in place of what was there; whole or not at all."""

    def read(self, name: str) -> str:
        """The value. Raises ``SettingsError`` if there is none of this name."""

    def delete(self, name: str) -> None:
        """Forget it; that there is none is no error."""

    def list(self) -> list[str]:
        """All names, sorted."""


def check_name(name: str) -> str:
    """Return the name; raise ``EntryError`` if it is not one that all stores can hold."""
    if not _NAME.fullmatch(name):
        raise EntryError(
            f"{name!r} cannot be the name of a secret",
            hint="use up to 100 lower-case letters, digits, `.`, `_` and `-`",
        )
    return name
