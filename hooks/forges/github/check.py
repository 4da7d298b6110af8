"""Whether a connection can do all that it is needed for, and what to change if not.

Permissions and events: https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ci.errors import WaasError
from hooks.forges.github.connection import Connection
from hooks.forges.github.reading import MAIN

NEEDED = {
    "checks": "write",
    "contents": "read",
    "deployments": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
}
EVENTS = ("issue_comment", "pull_request", "push")
_LEVELS = ("read", "write", "admin")
_APP = "on the App's page, Permissions & events; then accept it at its installation"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at; ``hint`` says what to do if it is not ``well``."""

    connection: str
    what: str
    well: bool
    told: str
    hint: str = ""


def check(connection: Connection, slugs: Iterable[str]) -> list[Line]:
    """All that can be said of a connection and the repositories it is for."""
    checks: list[tuple[str, Callable[[], Iterable[Line]]]] = [
        ("who", partial(_who, connection)),
        ("rate limit", partial(_limit, connection)),
    ]
    if connection.is_app:
        checks.append(("installation", partial(_installation, connection)))
    checks += [(slug, partial(_repository, connection, slug)) for slug in sorted(slugs)]
    found: list[Line] = []
    for what, act in checks:
        try:
            found += act()
        except WaasError as error:
            found.append(Line(connection.name, what, False, error.message, error.hint))
    return found


def _who(connection: Connection) -> Iterator[Line]:
    yield Line(connection.name, "who", True, connection.login())


def _limit(connection: Connection) -> Iterator[Line]:
    left, whole = connection.get("/rate_limit", _core)
    yield Line(
        connection.name,
        "rate limit",
        left > whole // 10,
        f"{left} of {whole} requests left in this hour",
        "" if left > whole // 10 else "the service goes on by itself when the hour is over",
    )


def _installation(connection: Connection) -> Iterator[Line]:
    path = f"/app/installations/{connection.settings.installation}"
    permissions, events, is_suspended = connection.get(path, _given, as_app=True)
    name = connection.name
    if is_suspended:
        hint = "its owner unsuspends it: Settings, GitHub Apps"
        yield Line(name, "installation", False, "it is suspended", hint)
    lacking = [p for p in NEEDED if _level(permissions.get(p, "")) < _level(NEEDED[p])]
    for permission in lacking:
        given = permissions.get(permission, "no access")
        hint = f"set it to {NEEDED[permission]} {_APP}"
        yield Line(name, f"permission {permission}", False, given, hint)
    for event in (e for e in EVENTS if e not in events):
        hint = f"tick it {_APP}"
        yield Line(name, f"event {event}", False, "not sent to us", hint)
    if not lacking:
        yield Line(name, "permissions", True, "all that is needed")


def _repository(connection: Connection, slug: str) -> Iterator[Line]:
    full_name, default, may_push = connection.get(f"/repos/{slug}", _facts)
    if full_name.lower() != slug.lower():
        hint = f"write `github: {full_name}` into the settings"
        yield Line(connection.name, slug, False, f"it is called {full_name[:140]} now", hint)
    elif default != MAIN:
        hint = f"rename {default[:80]!r} to {MAIN}: Settings, General, Default branch"
        yield Line(connection.name, slug, False, f"its default branch is not {MAIN}", hint)
    elif not connection.is_app and not may_push:
        hint = "the token needs write access: statuses, labels and deployments are written"
        yield Line(connection.name, slug, False, "it can be read only", hint)
    else:
        yield Line(connection.name, slug, True, "it is reached")


def _level(word: str) -> int:
    return _LEVELS.index(word) if word in _LEVELS else -1


def _core(answer: Any) -> tuple[int, int]:
    core = answer["resources"]["core"]
    return int(core["remaining"]), int(core["limit"])


def _given(answer: Any) -> tuple[dict[str, str], list[str], bool]:
    permissions = {str(k): str(v) for k, v in answer["permissions"].items()}
    return permissions, [str(e) for e in answer["events"]], bool(answer.get("suspended_at"))


def _facts(answer: Any) -> tuple[str, str, bool]:
    may_push = bool((answer.get("permissions") or {}).get("push"))
    return str(answer["full_name"]), str(answer["default_branch"]), may_push
