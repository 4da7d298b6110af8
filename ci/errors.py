"""Errors by who must act.

A message is a sentence for a person: what is wrong, where, and what to do.
Nothing else that we raise on purpose reaches a user; see ``hooks.cli.main`` and
``hooks.web.errors`` for where these become text and JSON.
"""

from __future__ import annotations


class WaasError(Exception):
    """Something a person must know. ``hint`` says what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class EntryError(WaasError):
    """The contributor must act: something in a registry or in a request is wrong."""

    def __init__(
        self, message: str, *, path: str = "", line: int = 0, column: int = 0, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}: " if self.path and self.line else ""
        where = where or (f"{self.path}: " if self.path else "")
        return where + super().__str__()


class SettingsError(WaasError):
    """The operator must act: a setting, a missing program, a wrong permission."""


class SiteError(WaasError):
    """The world must act: a site or a service outside ours did not do its part.

    ``transient`` says that the same call may work later; the engine retries those.
    """

    def __init__(
        self, message: str, *, site: str = "", transient: bool = False, hint: str = ""
    ) -> None:
        super().__init__(f"site {site}: {message}" if site else message, hint=hint)
        self.site = site
        self.transient = transient
