"""Errors as plain data, which is how they are recorded: a pickled exception could run code."""

from __future__ import annotations

from typing import Any

from ci.errors import EntryError, SettingsError, SiteError, WaasError


def as_data(error: WaasError) -> dict[str, Any]:
    """The error as JSON."""
    data: dict[str, Any] = {"kind": type(error).__name__}
    data |= {"message": error.message, "hint": error.hint}
    if isinstance(error, EntryError):
        data |= {"path": error.path, "line": error.line, "column": error.column}
    return data


def as_error(data: dict[str, Any]) -> WaasError:
    """The error that ``as_data`` was given; of a kind that is not known, its words."""
    message, hint = data["message"], data["hint"]
    if data["kind"] == "EntryError":
        return EntryError(
            message, hint=hint, path=data["path"], line=data["line"], column=data["column"]
        )
    kinds: dict[str, type[WaasError]] = {"SettingsError": SettingsError, "SiteError": SiteError}
    return kinds.get(data["kind"], WaasError)(message, hint=hint)
