"""Who asks, and whether they may: tokens of users and of installations, and the keys of Apps.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import base64
import time

import jwt

from .calls import Call, Operation, RefusedError, missing
from .world import ROLES, App, Repository, Token, World

LEVELS = ("none", "read", "write", "admin")
_LONGEST = 600  # seconds that the key of an App may be good for
_SKEW = 60


def app_of(world: World, header: str) -> App:
    """The App whose key signed this ``Authorization`` header. Raises 401 as GitHub does."""
    text = header.partition(" ")[2]
    try:
        number = int(jwt.decode(text, options={"verify_signature": False})["iss"])
        app = world.apps[number]
        # as a number or as text: GitHub takes both
        lenient = {"verify_iss": False}
        told = jwt.decode(text, app.public, algorithms=["RS256"], leeway=_SKEW, options=lenient)
    except (jwt.PyJWTError, KeyError, ValueError):
        raise RefusedError(401, "A JSON web token could not be decoded") from None
    if told.get("exp", 0) > time.time() + _LONGEST + _SKEW:
        raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def token_of(world: World, header: str) -> Token:
    """The token in an ``Authorization`` header; git's has it as the password."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        value = base64.b64decode(value).decode().partition(":")[2]
    elif scheme.lower() not in {"bearer", "token"}:
        raise RefusedError(401, "Requires authentication")
    token = world.tokens.get(value)
    if token is None or token.expires <= world.time():
        raise RefusedError(401, "Bad credentials")
    if token.app and world.apps[token.app].suspended_at:
        raise RefusedError(403, "This installation has been suspended")
    return token


def role_of(world: World, token: Token, repo: Repository) -> str:
    """What a token may do in a repository, as one of ``ROLES``: for an App, for its contents."""
    if not token.app:
        return world.role(token.login, repo)
    app = world.apps[token.app]
    if repo.slug not in app.repositories:
        return "none" if repo.private else "read"
    return app.permissions.get("contents", "none")


def repository(world: World, token: Token, owner: str, name: str) -> Repository:
    """A repository that the token may see; nobody is told that others are there."""
    found = world.repositories.get(f"{owner}/{name}".lower())
    if found is None:
        raise missing()
    if token.app:
        hidden = found.slug not in world.apps[token.app].repositories and found.private
    else:
        hidden = world.role(token.login, found) == "none"
    if hidden:
        raise missing()
    return found


def admit(call: Call, operation: Operation) -> None:
    """Raise what GitHub answers to those who may not."""
    token = call.caller
    if operation.who == "app":
        return
    assert token is not None
    if operation.who == "user" and token.app:
        raise RefusedError(403, "Resource not accessible by integration")
    if operation.who == "installation" and not token.app:
        raise RefusedError(403, "You must authenticate via a GitHub App.")
    if call.found is None:
        return
    if token.app:
        _admit_app(call.world.apps[token.app], call.found, operation)
    elif ROLES.index(call.world.role(token.login, call.found)) < ROLES.index(operation.role):
        if operation.permission == "administration":
            raise RefusedError(403, "Must have push access to view collaborator permission.")
        if operation.permission in {"checks", "pull_requests"}:
            raise RefusedError(403, "Must have push access to repository")
        raise missing()


def _admit_app(app: App, repo: Repository, operation: Operation) -> None:
    wanted = operation.permission
    given = [app.permissions.get(name, "none") for name in wanted.split("|")]
    inside = repo.slug in app.repositories
    if inside and any(LEVELS.index(g) >= LEVELS.index(operation.level) for g in given):
        return
    if not inside and operation.level == "read" and wanted in {"metadata", "contents"}:
        return  # public
    accepted = "; ".join(f"{name}={operation.level}" for name in wanted.split("|"))
    headers = {"X-Accepted-GitHub-Permissions": accepted}
    raise RefusedError(403, "Resource not accessible by integration", headers=headers)
