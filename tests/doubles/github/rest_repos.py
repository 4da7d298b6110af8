"""Repositories, their branches, refs, commits and roles."""

from __future__ import annotations

from typing import Any

from . import access, shapes
from .calls import Call, RefusedError, missing, on
from .examples import node_id

Json = dict[str, Any]
# https://docs.github.com/en/rest/collaborators/collaborators: older names of the roles
_LEGACY = {"maintain": "write", "triage": "read"}
EMPTY = RefusedError(409, "Git Repository is empty.")


@on("GET", "…")
def repository(call: Call) -> tuple[int, Any]:
    assert call.caller is not None
    role = access.role_of(call.world, call.caller, call.repo)
    return 200, shapes.full_repository(call.world, call.repo, role)


@on("GET", "…/branches", permission="contents")
def branches(call: Call) -> tuple[int, Any]:
    return 200, call.page(_branches(call), lambda name: _branch(call, name))


@on("GET", "…/branches/{branch}", permission="contents")
def branch(call: Call) -> tuple[int, Any]:
    name = call.variables["branch"]
    if name not in _branches(call):
        raise RefusedError(404, "Branch not found")
    short = _branch(call, name)
    at = f"{call.world.api}/repos/{call.repo.slug}"
    commit = commit_shape(call, short["commit"]["sha"])
    links = {
        "self": f"{at}/branches/{name}",
        "html": f"{call.world.web}/{call.repo.slug}/tree/{name}",
    }
    return 200, short | {"commit": commit, "_links": links, "protection": {"enabled": False}}


@on("GET", "…/git/ref/{ref}", permission="contents")
def ref(call: Call) -> tuple[int, Any]:
    name = f"refs/{call.variables['ref']}"
    if not call.repo.git.refs:
        raise EMPTY
    if name not in call.repo.git.refs:
        raise missing()
    sha = call.repo.git.refs[name]
    at = f"{call.world.api}/repos/{call.repo.slug}/git"
    return 200, {
        "ref": name,
        "node_id": node_id("Ref", call.repo.id),
        "url": f"{at}/{name}",
        "object": {"type": "commit", "sha": sha, "url": f"{at}/commits/{sha}"},
    }


@on("GET", "…/commits/{ref}", permission="contents")
def commit(call: Call) -> tuple[int, Any]:
    if not call.repo.git.refs:
        raise EMPTY
    return 200, commit_shape(call, call.commit("ref")) | {
        "stats": {"additions": 0, "deletions": 0, "total": 0},
        "files": [],
    }


@on("GET", "…/commits/{commit_sha}/pulls", permission="pull_requests")
def pulls_of_commit(call: Call) -> tuple[int, Any]:
    """Open ones that have the commit; the merged one, for a commit that is on main."""
    sha, git = call.commit("commit_sha"), call.repo.git
    on_main = git.within(sha, call.repo.head()) if call.repo.head() else False
    found = []
    for pull in call.repo.pulls.values():
        if not git.has(pull.head_sha):
            continue
        ours = git.within(sha, pull.head_sha) and not (pull.state == "open" and on_main)
        if (pull.merge_commit_sha == sha and pull.merged_at) or ours:
            found.append(pull)
    return 200, call.page(found, lambda one: shapes.pull(call.world, call.repo, one))


@on("GET", "…/collaborators/{username}/permission", role="write")
def permission(call: Call) -> tuple[int, Any]:
    login = call.variables["username"]
    known = call.world.users.get(login.lower())
    if known is None:
        raise RefusedError(404, f"{login} is not a user")
    role = call.world.role(known.login, call.repo)
    shown = shapes.user(call.world, known.login)
    return 200, {
        "permission": _LEGACY.get(role, role),
        "role_name": role,
        "user": shown | {"permissions": shapes.permissions(role), "role_name": role},
    }


def _branches(call: Call) -> list[str]:
    refs = sorted(call.repo.git.refs)
    return [ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/")]


def _branch(call: Call, name: str) -> Json:
    sha = call.repo.git.refs[f"refs/heads/{name}"]
    at = f"{call.world.api}/repos/{call.repo.slug}"
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{at}/commits/{sha}"},
        "protected": False,
        "protection_url": f"{at}/branches/{name}/protection",
    }


def commit_shape(call: Call, sha: str) -> Json:
    """A commit; authors by their names where there are such users."""
    known, at = call.repo.git.commit(sha), f"{call.world.api}/repos/{call.repo.slug}"
    users = call.world.users
    author = users.get(known["author"]["name"].lower())
    said = {"verified": False, "reason": "unsigned", "signature": None, "payload": None}
    return {
        "sha": sha,
        "node_id": node_id("Commit", call.repo.id),
        "commit": {
            "author": known["author"],
            "committer": known["committer"],
            "message": known["message"],
            "tree": {"sha": known["tree"], "url": f"{at}/git/trees/{known['tree']}"},
            "url": f"{at}/git/commits/{sha}",
            "comment_count": 0,
            "verification": said | {"verified_at": None},
        },
        "url": f"{at}/commits/{sha}",
        "html_url": f"{call.world.web}/{call.repo.slug}/commit/{sha}",
        "comments_url": f"{at}/commits/{sha}/comments",
        "author": shapes.user(call.world, author.login) if author else None,
        "committer": shapes.user(call.world, author.login) if author else None,
        "parents": [
            {
                "sha": parent,
                "url": f"{at}/commits/{parent}",
                "html_url": f"{call.world.web}/{call.repo.slug}/commit/{parent}",
            }
            for parent in known["parents"]
        ],
    }
