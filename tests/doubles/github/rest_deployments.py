"""Deployments and their statuses: https://docs.github.com/en/rest/deployments/deployments"""

from __future__ import annotations

from typing import Any

from . import shapes
from .calls import Call, RefusedError, missing, on
from .examples import node_id
from .rest_repos import EMPTY

Json = dict[str, Any]


@on("GET", "…/deployments", permission="deployments")
def deployments(call: Call) -> tuple[int, Any]:
    """The newest first."""
    keys = [k for k in ("sha", "ref", "task", "environment") if call.query.get(k, "none") != "none"]
    found = [d for d in call.repo.deployments.values() if all(d[k] == call.query[k] for k in keys)]
    return 200, call.page(reversed(found), lambda one: _shape(call, one))


@on("POST", "…/deployments", permission="deployments", role="write")
def create(call: Call) -> tuple[int, Any]:
    """409 where it would merge main in, or where a context that is required has not passed."""
    body, git = call.body, call.repo.git
    if not git.refs:
        raise EMPTY
    ref = body["ref"]
    sha = git.refs.get(f"refs/heads/{ref}") or ref
    if len(sha) != 40 or not git.has(sha):
        raise RefusedError(422, f"No ref found for: {ref}")
    _contexts(call, sha)
    if body.get("auto_merge", True) and not git.within(call.repo.head(), sha):
        raise RefusedError(409, f"Conflict merging {call.repo.default_branch} into {ref}.")
    environment = body.get("environment", "production")
    made = {
        "id": call.world.next_id(),
        "sha": sha,
        "ref": ref,
        "task": body.get("task", "deploy"),
        "payload": body.get("payload", {}),
        "environment": environment,
        "description": body.get("description") or None,
        "transient_environment": body.get("transient_environment", False),
        "production_environment": body.get("production_environment", environment == "production"),
        "created_at": call.world.now(),
        "by": call.login,
        "statuses": [],
    }
    call.repo.deployments[made["id"]] = made
    fact = {k: made[k] for k in ("id", "sha", "task", "environment")}
    call.world.note("deployment", repository=call.repo.slug, **fact)
    return 201, _shape(call, made)


@on("GET", "…/deployments/{deployment_id}", permission="deployments")
def deployment(call: Call) -> tuple[int, Any]:
    return 200, _shape(call, _named(call))


@on("GET", "…/deployments/{deployment_id}/statuses", permission="deployments")
def statuses(call: Call) -> tuple[int, Any]:
    """The newest first."""
    one = _named(call)
    return 200, call.page(reversed(one["statuses"]), lambda s: _status(call, one, s))


@on("POST", "…/deployments/{deployment_id}/statuses", permission="deployments", role="write")
def add_status(call: Call) -> tuple[int, Any]:
    """A success ends the earlier ones of the environment, unless it is told not to."""
    one, body = _named(call), call.body
    if body["state"] == "success" and body.get("auto_inactive", True):
        for other in call.repo.deployments.values():
            if other is one or other["environment"] != one["environment"]:
                continue
            is_lasting = not (other["transient_environment"] or other["production_environment"])
            if is_lasting and other["statuses"] and other["statuses"][-1]["state"] == "success":
                _add(call, other, {"state": "inactive"})
    return 201, _status(call, one, _add(call, one, body))


def _contexts(call: Call, sha: str) -> None:
    """All statuses of the commit must have passed, unless it is said which."""
    newest = {s["context"]: s["state"] for s in call.repo.statuses if s["sha"] == sha}
    wanted = call.body.get("required_contexts")
    names = newest if wanted is None else wanted
    failed = [name for name in names if newest.get(name) != "success"]
    if failed:
        errors = [
            {"resource": "Deployment", "field": "required_contexts", "code": "invalid",
             "contexts": [{"context": n, "state": newest.get(n, "pending")} for n in failed]}
        ]  # fmt: skip
        raise RefusedError(409, "Conflict: Commit status checks failed.", errors=errors)


def _add(call: Call, one: Json, body: Json) -> Json:
    made = {
        "id": call.world.next_id(),
        "state": body["state"],
        "description": body.get("description", ""),
        "log_url": body.get("log_url") or body.get("target_url", ""),
        "environment_url": body.get("environment_url", ""),
        "created_at": call.world.now(),
        "by": call.login,
    }
    one["statuses"].append(made)
    slug = call.repo.slug
    call.world.note("deployment status", repository=slug, deployment=one["id"], **made)
    return made


def _named(call: Call) -> Json:
    found = call.repo.deployments.get(call.number("deployment_id"))
    if found is None:
        raise missing()
    return found


def _shape(call: Call, one: Json) -> Json:
    at = f"{call.world.api}/repos/{call.repo.slug}"
    url = f"{at}/deployments/{one['id']}"
    return {
        **{k: v for k, v in one.items() if k not in {"statuses", "by"}},
        "node_id": node_id("Deployment", one["id"]),
        "url": url,
        "statuses_url": f"{url}/statuses",
        "repository_url": at,
        "original_environment": one["environment"],
        "creator": shapes.user(call.world, one["by"]),
        "updated_at": (one["statuses"] or [one])[-1]["created_at"],
    }


def _status(call: Call, one: Json, status: Json) -> Json:
    at = f"{call.world.api}/repos/{call.repo.slug}"
    url = f"{at}/deployments/{one['id']}"
    return {
        **{k: v for k, v in status.items() if k != "by"},
        "node_id": node_id("DeploymentStatus", status["id"]),
        "url": f"{url}/statuses/{status['id']}",
        "deployment_url": url,
        "repository_url": at,
        "environment": one["environment"],
        "target_url": status["log_url"],
        "creator": shapes.user(call.world, status["by"]),
        "updated_at": status["created_at"],
    }
