"""Apps, their installations and tokens, and who the caller is."""

from __future__ import annotations

import secrets
from typing import Any

from . import shapes
from .calls import Call, RefusedError, missing, on
from .world import App, Token, iso

HOUR = 3600.0


@on("GET", "/app", who="app")
def app(call: Call) -> tuple[int, Any]:
    return 200, shapes.integration(call.world, call.app) | {"installations_count": 1}


@on("GET", "/app/installations", who="app")
def installations(call: Call) -> tuple[int, Any]:
    found = call.world.apps[call.app]
    return 200, call.page([found], lambda one: _installation(call, one))


@on("GET", "/app/installations/{installation_id}", who="app")
def installation(call: Call) -> tuple[int, Any]:
    return 200, _installation(call, _own(call))


@on("GET", "…/installation", who="app")
def repository_installation(call: Call) -> tuple[int, Any]:
    found = call.world.apps[call.app]
    if call.repo.slug not in found.repositories:
        raise missing()
    return 200, _installation(call, found)


@on("POST", "/app/installations/{installation_id}/access_tokens", who="app")
def access_token(call: Call) -> tuple[int, Any]:
    found = _own(call)
    if found.suspended_at:
        raise RefusedError(403, "This installation has been suspended")
    expires = call.world.time() + HOUR
    text = f"ghs_{secrets.token_hex(18)}"
    call.world.tokens[text] = Token(text, found.login, found.id, expires)
    return 201, {
        "token": text,
        "expires_at": iso(expires),
        "permissions": found.permissions,
        "repository_selection": "selected",
    }


@on("GET", "/installation/repositories", who="installation")
def installation_repositories(call: Call) -> tuple[int, Any]:
    assert call.caller is not None
    slugs = sorted(call.world.apps[call.caller.app].repositories)
    listed = call.page(slugs, lambda s: shapes.repository(call.world, call.world.repository(s)))
    return 200, {"total_count": len(slugs), "repositories": listed}


@on("GET", "/user", who="user")
def user(call: Call) -> tuple[int, Any]:
    zeros = ("public_repos", "public_gists", "followers", "following", "private_gists")
    more = ("total_private_repos", "owned_private_repos", "disk_usage", "collaborators")
    nulls = ("name", "company", "location", "email", "hireable", "bio")
    return 200, {
        **shapes.user(call.world, call.login),
        **dict.fromkeys(zeros + more, 0),
        **dict.fromkeys(nulls),
        "blog": "",
        "two_factor_authentication": True,
        "user_view_type": "private",
        "ldap_dn": "",  # which only a private view has
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }


@on("GET", "/rate_limit")
def rate_limit(_call: Call) -> tuple[int, Any]:
    raise AssertionError("the service answers it")


def _own(call: Call) -> App:
    found = call.world.apps[call.app]
    if found.installation != call.number("installation_id"):
        raise missing()
    return found


def _installation(call: Call, one: App) -> dict[str, Any]:
    owner = min(one.repositories).partition("/")[0] if one.repositories else "nobody"
    account = shapes.user(call.world, owner)
    api = call.world.api
    return {
        "id": one.installation,
        "account": account,
        "access_tokens_url": f"{api}/app/installations/{one.installation}/access_tokens",
        "repositories_url": f"{api}/installation/repositories",
        "html_url": f"{call.world.web}/settings/installations/{one.installation}",
        "app_id": one.id,
        "app_slug": one.slug,
        "target_id": account["id"],
        "target_type": "Organization",
        "permissions": one.permissions,
        "events": list(one.events),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "single_file_name": None,
        "repository_selection": "selected",
        "suspended_by": shapes.user(call.world, owner) if one.suspended_at else None,
        "suspended_at": one.suspended_at,
    }
