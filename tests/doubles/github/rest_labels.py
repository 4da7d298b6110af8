"""Labels of a repository and of its pull requests: https://docs.github.com/en/rest/issues/labels"""

from __future__ import annotations

from typing import Any

from . import events, shapes
from .calls import Call, RefusedError, invalid, missing, on
from .world import Pull, Repository, World

MOST = 100  # labels of one pull request
LONGEST = 50  # characters of a name
GREY = "ededed"
WRITES = "issues|pull_requests"


@on("GET", "…/labels", permission=WRITES)
def labels(call: Call) -> tuple[int, Any]:
    names = sorted(call.repo.labels)
    return 200, call.page(names, lambda name: shapes.label(call.world, call.repo, name))


@on("POST", "…/labels", permission=WRITES, role="write")
def create(call: Call) -> tuple[int, Any]:
    name = call.body["name"]
    if name.lower() in call.repo.labels:
        raise invalid("Label", "name", "already_exists")
    make(call.world, call.repo, name, call.body.get("color", GREY), call.body.get("description"))
    return 201, shapes.label(call.world, call.repo, name)


@on("GET", "…/labels/{name}", permission=WRITES)
def label(call: Call) -> tuple[int, Any]:
    if call.variables["name"].lower() not in call.repo.labels:
        raise missing()
    return 200, shapes.label(call.world, call.repo, call.variables["name"])


@on("GET", "…/issues/{issue_number}/labels", permission=WRITES)
def of_pull(call: Call) -> tuple[int, Any]:
    pull = call.pull()
    return 200, call.page(pull.labels, lambda name: shapes.label(call.world, call.repo, name))


@on("POST", "…/issues/{issue_number}/labels", permission=WRITES, role="triage")
def add(call: Call) -> tuple[int, Any]:
    pull = call.pull()
    return _change(call, pull, [*pull.labels, *_given(call)])


@on("PUT", "…/issues/{issue_number}/labels", permission=WRITES, role="triage")
def replace(call: Call) -> tuple[int, Any]:
    return _change(call, call.pull(), _given(call))


@on("DELETE", "…/issues/{issue_number}/labels/{name}", permission=WRITES, role="triage")
def remove(call: Call) -> tuple[int, Any]:
    pull, name = call.pull(), call.variables["name"]
    if name.lower() not in map(str.lower, pull.labels):
        raise RefusedError(404, "Label does not exist")
    return _change(call, pull, [n for n in pull.labels if n.lower() != name.lower()])


def _given(call: Call) -> list[str]:
    given = call.body.get("labels") or []
    return [one["name"] if isinstance(one, dict) else str(one) for one in given]


def _change(call: Call, pull: Pull, wanted: list[str]) -> tuple[int, Any]:
    change(call.world, call.repo, pull, wanted, call.login)
    shown = [shapes.label(call.world, call.repo, name) for name in pull.labels]
    return 200, shown


def make(world: World, repo: Repository, name: str, colour: str, about: str | None = None) -> None:
    """A label of the repository."""
    if not name.strip() or len(name) > LONGEST:
        raise invalid("Label", "name", "too_long" if name.strip() else "missing_field")
    repo.labels[name.lower()] = {
        "id": world.next_id(),
        "name": name,
        "color": colour,
        "default": False,
        "description": about or "",  # null too, but not as it is described in pull requests
    }


def change(world: World, repo: Repository, pull: Pull, wanted: list[str], login: str) -> None:
    """Give a pull request these labels; those that the repository has not are made, and grey."""
    known: dict[str, str] = {}
    for name in wanted:
        if name.lower() not in repo.labels:
            make(world, repo, name, GREY)
        known.setdefault(name.lower(), repo.labels[name.lower()]["name"])
    if len(known) > MOST:
        raise invalid("Issue", "labels", "invalid", f"at most {MOST} labels")
    before, pull.labels = pull.labels, list(known.values())
    for action, one, other in (
        ("unlabeled", before, pull.labels),
        ("labeled", pull.labels, before),
    ):
        for name in one:
            if name not in other:
                pull.updated_at = world.now()
                world.note(action, repository=repo.slug, pull=pull.number, name=name, by=login)
                events.pull(world, repo, pull, action, login, label=shapes.label(world, repo, name))
