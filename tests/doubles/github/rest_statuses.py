"""Statuses of commits: https://docs.github.com/en/rest/commits/statuses"""

from __future__ import annotations

from typing import Any

from . import shapes
from .calls import Call, RefusedError, invalid, on
from .examples import node_id

MOST = 1_000  # statuses of one commit and context
_DESCRIPTION = 140  # characters
_WORST = ("error", "failure", "pending", "success")


@on("POST", "…/statuses/{sha}", permission="statuses", role="write")
def create(call: Call) -> tuple[int, Any]:
    sha, context = call.variables["sha"], call.body.get("context", "default")
    if not call.repo.git.has(sha):
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    if len(call.body.get("description") or "") > _DESCRIPTION:
        raise invalid("Status", "description", "custom", "description is too long")
    same = [s for s in call.repo.statuses if (s["sha"], s["context"]) == (sha, context)]
    if len(same) >= MOST:
        told = "This SHA and context has reached the maximum number of statuses."
        raise RefusedError(422, "Validation Failed", errors=[told])
    made = {
        "id": call.world.next_id(),
        "sha": sha,
        "state": call.body["state"],
        "context": context,
        "description": call.body.get("description"),
        "target_url": call.body.get("target_url"),
        "created_at": call.world.now(),
        "by": call.login,
    }
    call.repo.statuses.append(made)
    call.world.note("status", repository=call.repo.slug, **made)
    return 201, _shape(call, made)


@on("GET", "…/commits/{ref}/statuses", permission="statuses")
def statuses(call: Call) -> tuple[int, Any]:
    """The newest first."""
    sha = call.commit("ref")
    found = [s for s in reversed(call.repo.statuses) if s["sha"] == sha]
    return 200, call.page(found, lambda one: _shape(call, one))


@on("GET", "…/commits/{ref}/status", permission="statuses")
def combined(call: Call) -> tuple[int, Any]:
    """The newest of each context."""
    sha = call.commit("ref")
    newest = {s["context"]: s for s in call.repo.statuses if s["sha"] == sha}
    states = {s["state"] for s in newest.values()}
    at = f"{call.world.api}/repos/{call.repo.slug}/commits/{sha}"
    state = next((s for s in _WORST if s in states), "pending")
    return 200, {
        "state": "failure" if state == "error" else state,
        "statuses": call.page(newest.values(), lambda one: _shape(call, one)),
        "sha": sha,
        "total_count": len(newest),
        "repository": shapes.repository(call.world, call.repo),
        "commit_url": at,
        "url": f"{at}/status",
    }


def _shape(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "state", "context", "description", "target_url", "created_at")
    user = shapes.user(call.world, one["by"])
    return {
        **{name: one[name] for name in names},
        "updated_at": one["created_at"],
        "node_id": node_id("StatusContext", one["id"]),
        "avatar_url": user["avatar_url"],
        "url": f"{call.world.api}/repos/{call.repo.slug}/statuses/{one['sha']}",
        "creator": user,
    }
