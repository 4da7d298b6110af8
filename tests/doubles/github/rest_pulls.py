"""Pull requests: https://docs.github.com/en/rest/pulls/pulls"""

from __future__ import annotations

from typing import Any

from . import merging, shapes
from .calls import Call, RefusedError, on
from .rest_repos import commit_shape
from .world import Pull


@on("GET", "…/pulls", permission="pull_requests")
def pulls(call: Call) -> tuple[int, Any]:
    """The newest first, as GitHub has it unless it is told otherwise."""
    query = call.query
    state, sort = query.get("state", "open"), query.get("sort", "created")
    found = [p for p in call.repo.pulls.values() if state in {"all", p.state}]
    found = [p for p in found if query.get("base") in {None, p.base_ref}]
    head = query.get("head")
    found = [p for p in found if head in {None, f"{p.head_user}:{p.head_ref}"}]
    up = query.get("direction", "desc" if sort == "created" else "asc") == "asc"

    def key(pull: Pull) -> tuple[str, int]:
        return (pull.updated_at if sort == "updated" else "", pull.number)

    found.sort(key=key, reverse=not up)
    return 200, call.page(found, lambda one: shapes.pull(call.world, call.repo, one))


@on("GET", "…/pulls/{pull_number}", permission="pull_requests")
def pull(call: Call) -> tuple[int, Any]:
    """The first who asks is told that GitHub has not tried to merge it yet."""
    one = call.pull("pull_number")
    mergeable = None
    if one.state == "open":
        known = one.tested == (one.base_sha, one.head_sha)
        mergeable = merging.trial(call.world, call.repo, one) if known else None
        if not known:
            one.tested = (one.base_sha, one.head_sha)
    return 200, shapes.full_pull(call.world, call.repo, one, mergeable)


@on("GET", "…/pulls/{pull_number}/commits", permission="pull_requests")
def commits(call: Call) -> tuple[int, Any]:
    one = call.pull("pull_number")
    found = call.repo.git.between(one.base_sha, one.head_sha)
    return 200, call.page(found, lambda sha: commit_shape(call, sha))


@on("PUT", "…/pulls/{pull_number}/merge", permission="contents", role="write")
def merge(call: Call) -> tuple[int, Any]:
    one = call.pull("pull_number")
    if one.state != "open" or one.draft:
        raise RefusedError(405, "Pull Request is not mergeable")
    if call.body.get("sha", one.head_sha) != one.head_sha:
        raise RefusedError(409, "Head branch was modified. Review and try the merge again.")
    method = call.body.get("merge_method", "merge")
    sha = merging.merge(call.world, call.repo, one, call.login, method)
    if not sha:
        raise RefusedError(405, "Pull Request is not mergeable")
    return 200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
