"""Who may do what in a repository on GitHub, by their role in it.

https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user:
``permission`` knows only admin, write, read and none; ``role_name`` tells maintain from write, and
may be a name that an organisation made up.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

from hooks.forges.github.connection import Connection
from hooks.forges.github.failures import AnsweredError

HOLDS = 30.0  # seconds that an answer is good for
_MOST = 1_000
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")
_ROLES = {
    "build": {"write", "maintain", "admin"},
    "merge": {"write", "maintain", "admin"},
    "deploy": {"maintain", "admin"},
}


class Rights:
    """The rights of users, each answer kept for a short time."""

    def __init__(
        self, connection: Connection, slug: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection, self._slug, self._clock = connection, slug, clock
        self._known: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def has(self, user: str, right: str) -> bool:
        """Whether the user has it. Raises a transient ``SiteError`` if nobody can tell now."""
        return bool(_LOGIN.match(user)) and self._role(user.lower()) in _ROLES[right]

    def _role(self, user: str) -> str:
        now = self._clock()
        with self._lock:
            asked, role = self._known.get(user, (now - HOLDS, ""))
        if now - asked < HOLDS:
            return role
        role = self._ask(user)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[user] = (now, role)
        return role

    def _ask(self, user: str) -> str:
        path = f"/repos/{self._slug}/collaborators/{user}/permission"
        try:
            return self._connection.get(path, _role)
        except AnsweredError as error:
            if error.transient:
                raise
            return ""  # no such user, or we may not know


def _role(answer: Any) -> str:
    permission, role = str(answer["permission"]), str(answer.get("role_name") or "")
    if role in _ROLES["build"]:
        return role
    may = (answer.get("user") or {}).get("permissions") or {}
    return "maintain" if permission == "write" and may.get("maintain") is True else permission
