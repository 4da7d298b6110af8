"""Errors of requests that are well formed and still cannot be met."""

from ci.errors import EntryError


class NotFoundError(EntryError):
    """What was asked for does not exist, or not for this caller."""


class ConflictError(EntryError):
    """What was asked for cannot be done in the present state."""


class ForbiddenError(EntryError):
    """The caller may not do this."""
