"""Comments on pull requests, and reactions to them: https://docs.github.com/en/rest/issues/comments"""

from __future__ import annotations

from typing import Any

from . import events, shapes
from .calls import Call, RefusedError, invalid, missing, on
from .examples import node_id
from .world import Comment

LONGEST = 65_536  # characters of a comment
WRITES = "issues|pull_requests"


@on("GET", "…/issues/{issue_number}/comments", permission=WRITES)
def comments(call: Call) -> tuple[int, Any]:
    """The oldest first."""
    number, since = call.pull().number, call.query.get("since", "")
    found = [c for c in _there(call) if c.pull == number and c.updated_at >= since]
    return 200, call.page(found, lambda one: shapes.comment(call.world, call.repo, one))


@on("GET", "…/issues/comments", permission=WRITES)
def all_comments(call: Call) -> tuple[int, Any]:
    since = call.query.get("since", "")
    found = [c for c in _there(call) if c.updated_at >= since]
    if sort := call.query.get("sort"):
        is_down = call.query.get("direction", "desc") == "desc"
        found.sort(key=lambda c: (getattr(c, f"{sort}_at"), c.id), reverse=is_down)
    return 200, call.page(found, lambda one: shapes.comment(call.world, call.repo, one))


@on("POST", "…/issues/{issue_number}/comments", permission=WRITES)
def create(call: Call) -> tuple[int, Any]:
    assert call.caller is not None
    made = put(call, call.pull().number, call.login, call.body["body"], call.caller.app)
    return 201, shapes.comment(call.world, call.repo, made)


@on("GET", "…/issues/comments/{comment_id}", permission=WRITES)
def comment(call: Call) -> tuple[int, Any]:
    return 200, shapes.comment(call.world, call.repo, _named(call))


@on("PATCH", "…/issues/comments/{comment_id}", permission=WRITES)
def update(call: Call) -> tuple[int, Any]:
    one = _named(call)
    _own(call, one)
    edit(call, one, call.login, call.body["body"])
    return 200, shapes.comment(call.world, call.repo, one)


@on("DELETE", "…/issues/comments/{comment_id}", permission=WRITES)
def delete(call: Call) -> tuple[int, Any]:
    one = _named(call)
    _own(call, one)
    one.deleted = True
    call.world.note("comment deleted", repository=call.repo.slug, id=one.id, by=call.login)
    events.comment(call.world, call.repo, one, "deleted", call.login)
    return 204, None


@on("GET", "…/issues/comments/{comment_id}/reactions", permission=WRITES)
def reactions(call: Call) -> tuple[int, Any]:
    wanted = call.query.get("content")
    found = [r for r in _named(call).reactions if wanted in {None, r["content"]}]
    return 200, call.page(found, lambda one: _reaction(call, one))


@on("POST", "…/issues/comments/{comment_id}/reactions", permission=WRITES)
def react(call: Call) -> tuple[int, Any]:
    """One of a kind from each: the second is answered with the first, and 200."""
    one, content = _named(call), call.body["content"]
    for known in one.reactions:
        if (known["user"], known["content"]) == (call.login, content):
            return 200, _reaction(call, known)
    made = {"id": call.world.next_id(), "user": call.login, "content": content}
    made["created_at"] = call.world.now()
    one.reactions.append(made)
    call.world.note("reaction", repository=call.repo.slug, comment=one.id, content=content)
    return 201, _reaction(call, made)


def put(call: Call, pull: int, login: str, body: str, app: int = 0) -> Comment:
    """Write a comment. Raises 422 for one that is empty or too long."""
    _check(body)
    world, now = call.world, call.world.now()
    made = Comment(world.next_id(), pull, world.user(login).login, body, now, now, app)
    made.history.append(body)
    call.repo.comments[made.id] = made
    world.note("comment created", repository=call.repo.slug, pull=pull, id=made.id, by=login)
    events.comment(world, call.repo, made, "created", login)
    return made


def edit(call: Call, one: Comment, login: str, body: str) -> None:
    """Change a comment; what it was before is kept for the counting."""
    _check(body)
    before, one.body, one.updated_at = one.body, body, call.world.now()
    one.history.append(body)
    call.world.note("comment edited", repository=call.repo.slug, id=one.id, by=login)
    events.comment(call.world, call.repo, one, "edited", login, before)


def _check(body: str) -> None:
    if not body.strip():
        raise invalid("IssueComment", "body", "unprocessable", "Body cannot be blank")
    if len(body) > LONGEST:
        told = f"body is too long (maximum is {LONGEST} characters)"
        raise invalid("IssueComment", "data", "unprocessable", told)


def _there(call: Call) -> list[Comment]:
    return [one for one in call.repo.comments.values() if not one.deleted]


def _named(call: Call) -> Comment:
    found = call.repo.comments.get(call.number("comment_id"))
    if found is None or found.deleted:
        raise missing()
    return found


def _own(call: Call, one: Comment) -> None:
    role = call.world.role(call.login, call.repo)
    if one.user.lower() != call.login.lower() and role not in {"write", "maintain", "admin"}:
        raise RefusedError(403, "Must have admin rights to Repository.")


def _reaction(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    user = shapes.user(call.world, one["user"])
    return {**one, "user": user, "node_id": node_id("Reaction", one["id"])}
