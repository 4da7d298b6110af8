"""Check runs, which only Apps may write: https://docs.github.com/en/rest/checks/runs"""

from __future__ import annotations

from typing import Any

from . import events, shapes
from .calls import Call, RefusedError, invalid, missing, on
from .examples import node_id
from .world import Repository, World

Json = dict[str, Any]
BATCH = 50  # annotations in a request
LONGEST = 65_535  # characters of a summary or a text
_TITLE = 255  # characters
_GIVEN = ("name", "details_url", "external_id", "status", "conclusion", "started_at")


@on("POST", "…/check-runs", who="installation", permission="checks")
def create(call: Call) -> tuple[int, Any]:
    assert call.caller is not None
    sha = call.body["head_sha"]
    if not call.repo.git.has(sha):
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    _check(call.body)
    suite = (sha, call.caller.app)
    call.repo.suites.setdefault(suite, call.world.next_id())
    run: Json = {
        **dict.fromkeys(("details_url", "external_id", "conclusion", "completed_at")),
        "id": call.world.next_id(),
        "head_sha": sha,
        "app": call.caller.app,
        "suite": call.repo.suites[suite],
        "status": "queued",
        "started_at": call.world.now(),
        "output": {"title": None, "summary": None, "text": None},
        "annotations": [],
        "history": [],
    }
    call.repo.check_runs[run["id"]] = run
    _change(call, run, "check run created")
    events.check_run(call.world, call.repo, run, "created", call.login)
    return 201, shape(call.world, call.repo, run)


@on("PATCH", "…/check-runs/{check_run_id}", who="installation", permission="checks")
def update(call: Call) -> tuple[int, Any]:
    assert call.caller is not None
    run = _named(call)
    if run["app"] != call.caller.app:
        told = "Check run can only be modified by the GitHub App that created it."
        raise RefusedError(403, f"Invalid app_id `{call.caller.app}` - {told}")
    _check(call.body)
    _change(call, run, "check run updated")
    return 200, shape(call.world, call.repo, run)


@on("GET", "…/check-runs/{check_run_id}", permission="checks")
def check_run(call: Call) -> tuple[int, Any]:
    return 200, shape(call.world, call.repo, _named(call))


@on("GET", "…/check-runs/{check_run_id}/annotations", permission="checks")
def annotations(call: Call) -> tuple[int, Any]:
    return 200, call.page(_named(call)["annotations"], lambda one: one)


@on("GET", "…/commits/{ref}/check-runs", permission="checks")
def of_commit(call: Call) -> tuple[int, Any]:
    """The newest first; of each name the newest only, unless all are asked for."""
    sha, query = call.commit("ref"), call.query
    found = [r for r in reversed(call.repo.check_runs.values()) if r["head_sha"] == sha]
    found = [r for r in found if query.get("check_name") in {None, r["name"]}]
    found = [r for r in found if query.get("status") in {None, r["status"]}]
    found = [r for r in found if query.get("app_id") in {None, str(r["app"])}]
    if query.get("filter", "latest") == "latest":
        newest: dict[tuple[int, str], Json] = {}
        for run in found:
            newest.setdefault((run["app"], run["name"]), run)
        found = list(newest.values())
    shown = call.page(found, lambda one: shape(call.world, call.repo, one))
    return 200, {"total_count": len(found), "check_runs": shown}


def _named(call: Call) -> Json:
    found = call.repo.check_runs.get(call.number("check_run_id"))
    if found is None:
        raise missing()
    return found


def _change(call: Call, run: Json, what: str) -> None:
    body, was = call.body, run["status"]
    run |= {name: body[name] for name in _GIVEN if name in body}
    if body.get("conclusion"):
        run["status"] = "completed"
    elif "status" in body and body["status"] != "completed":
        run |= {"conclusion": None, "completed_at": None}
    if run["status"] == "completed":
        run["completed_at"] = body.get("completed_at") or call.world.now()
    output = dict(body.get("output") or {})
    run["annotations"] += [_annotation(call, run, a) for a in output.pop("annotations", [])]
    output.pop("images", None)
    run["output"] = run["output"] | output
    fact = {name: run[name] for name in ("id", "name", "status", "conclusion", "external_id")}
    run["history"].append(fact | {"annotations": len(run["annotations"])})
    call.world.note(what, repository=call.repo.slug, head_sha=run["head_sha"], **fact)
    if run["status"] == "completed" and was != "completed":
        events.check_run(call.world, call.repo, run, "completed", call.login)


def _check(body: Json) -> None:
    """What the description does not say, and GitHub checks."""
    output = body.get("output") or {}
    for name, most in (("summary", LONGEST), ("text", LONGEST), ("title", _TITLE)):
        if len(output.get(name) or "") > most:
            raise invalid("CheckRun", name, "custom", f"{name} exceeds {most} characters")
    given = output.get("annotations", [])
    if len(given) > BATCH:
        raise invalid("CheckRun", "annotations", "custom", f"exceeds {BATCH} annotations")
    for one in given:
        has_columns = "start_column" in one or "end_column" in one
        if one["end_line"] < one["start_line"] or (
            has_columns and one["start_line"] != one["end_line"]
        ):
            raise invalid("CheckRun", "annotations", "invalid", "lines and columns do not fit")
        if len(one["message"].encode()) > 64 * 1024 or len(one.get("title") or "") > _TITLE:
            raise invalid("CheckRun", "annotations", "custom", "the message is too long")


def _annotation(call: Call, run: Json, one: Json) -> Json:
    blob = f"{call.world.web}/{call.repo.slug}/blob/{run['head_sha']}/{one['path']}"
    optional = ("start_column", "end_column", "title", "raw_details")
    return {"blob_href": blob, **dict.fromkeys(optional), **one}


def shape(world: World, repo: Repository, run: Json) -> Json:
    """A check run, as GitHub shows it: with no pull requests for commits of forks."""
    at = f"{world.api}/repos/{repo.slug}/check-runs/{run['id']}"
    pulls = [
        shapes.pull_minimal(world, repo, one)
        for one in repo.pulls.values()
        if one.head_sha == run["head_sha"]
        and one.state == "open"
        and one.head_repo.lower() == repo.slug.lower()
    ]
    names = ("id", "head_sha", "name", "details_url", "external_id", "status", "conclusion")
    return {
        **{name: run[name] for name in (*names, "started_at", "completed_at")},
        "node_id": node_id("CheckRun", run["id"]),
        "url": at,
        "html_url": f"{world.web}/{repo.slug}/runs/{run['id']}",
        "app": shapes.integration(world, run["app"]),
        "check_suite": {"id": run["suite"]},
        "output": {
            **run["output"],
            "annotations_count": len(run["annotations"]),
            "annotations_url": f"{at}/annotations",
        },
        "pull_requests": pulls,
    }
