"""What the double tells webhooks: payloads made of GitHub's real ones, held to its description."""

from __future__ import annotations

from typing import Any

from . import shapes
from .conformity import check_payload
from .examples import filled, node_id
from .world import Comment, Pull, Repository, World

Json = dict[str, Any]
NONE = "0" * 40


def push(world: World, repo: Repository, ref: str, old: str, new: str, login: str) -> None:
    """A branch moved, came or went."""
    commits = [_commit(world, repo, sha) for sha in repo.git.between(old, new)] if new else []
    page = f"{world.web}/{repo.slug}/compare/{old[:12] or NONE[:12]}...{new[:12] or NONE[:12]}"
    is_forced = bool(old and new) and not repo.git.within(old, new)
    payload = {
        "ref": ref,
        "before": old or NONE,
        "after": new or NONE,
        "created": not old,
        "deleted": not new,
        "forced": is_forced,
        "base_ref": None,
        "compare": page,
        "commits": commits,
        "head_commit": commits[-1] if commits else None,
        "pusher": {"name": login, "email": f"{login}@users.noreply.github.com"},
    }
    _emit(world, repo, "push", payload, login)


def pull(world: World, repo: Repository, one: Pull, action: str, login: str, **more: Any) -> None:
    """Something happened to a pull request; ``more`` is what comes with that action."""
    payload = {"action": action, "number": one.number} | more
    payload["pull_request"] = shapes.full_pull(world, repo, one, None)
    _emit(world, repo, "pull_request", payload, login)


def comment(
    world: World, repo: Repository, one: Comment, action: str, login: str, before: str = ""
) -> None:
    """A comment was written, changed or taken away."""
    changes = {"changes": {"body": {"from": before}}} if action == "edited" else {}
    issue = _issue(world, repo, repo.pulls[one.pull])
    payload = {"action": action, "issue": issue, "comment": shapes.comment(world, repo, one)}
    _emit(world, repo, "issue_comment", payload | changes, login)


def check_run(world: World, repo: Repository, run: Json, action: str, login: str) -> None:
    """A check run, which GitHub shows only to the App that wrote it, and to repositories' hooks."""
    from .rest_checks import shape

    shown = shape(world, repo, run)
    suite = filled(
        *("check_run", 1, "check_run.check_suite"),
        **_names(world, repo),
    ) | {
        "id": run["suite"],
        "head_sha": run["head_sha"],
        "app": shown["app"],
        "status": run["status"],
        "conclusion": run["conclusion"],
        "pull_requests": shown["pull_requests"],
    }
    payload = {"action": action, "check_run": shown | {"check_suite": suite}}
    _emit(world, repo, "check_run", payload, login)


def _emit(world: World, repo: Repository, event: str, payload: Json, login: str) -> None:
    payload |= {"sender": shapes.user(world, login), "repository": _repository(world, repo, event)}
    wrong = check_payload(event, payload)
    if wrong:
        world.violations.append(f"double: webhook {event} {payload.get('action', '')}: {wrong}")
    for hook in list(world.hooks.values()):
        app = world.apps.get(hook.app)
        concerned = repo.slug in app.repositories if app else hook.slug == repo.slug
        if concerned and event in hook.events:
            own = {"installation": _installation(app.installation)} if app else {}
            world.post(hook, repo, event, payload | own)


def _installation(number: int) -> Json:
    return {"id": number, "node_id": node_id("IntegrationInstallation", number)}


def _names(world: World, repo: Repository) -> Json:
    return {"web": world.web, "api": world.api, "who": repo.owner, "what": repo.slug}


def _repository(world: World, repo: Repository, event: str) -> Json:
    """In pushes times are numbers, for reasons of history."""
    shown = shapes.repository(world, repo)
    if event != "push":
        return shown
    made = filled("push", 1, "repository", **_names(world, repo)) | shown
    made["owner"] |= {"name": repo.owner, "email": None}
    branch = {"master_branch": repo.default_branch, "stargazers": 0}
    return made | branch | {"created_at": 1_700_000_000, "pushed_at": int(world.time())}


def _commit(world: World, repo: Repository, sha: str) -> Json:
    known, changes = repo.git.commit(sha), repo.git.changes(sha)
    kinds = {"added": "A", "removed": "D", "modified": "M"}

    def who(part: str) -> Json:
        person = known[part]
        return {"name": person["name"], "email": person["email"], "username": person["name"]}

    return {
        "id": sha,
        "tree_id": known["tree"],
        "distinct": True,
        "message": known["message"],
        "timestamp": known["committer"]["date"],
        "url": f"{world.web}/{repo.slug}/commit/{sha}",
        "author": who("author"),
        "committer": who("committer"),
        **{name: [p for p, k in changes.items() if k == kind] for name, kind in kinds.items()},
    }


def _issue(world: World, repo: Repository, one: Pull) -> Json:
    """A pull request as an issue, as GitHub has it in comments."""
    shown = shapes.pull(world, repo, one)
    same = ("number", "title", "user", "state", "labels", "body", "created_at", "updated_at")
    links = ("html_url", "diff_url", "patch_url")
    said = sum(c.pull == one.number and not c.deleted for c in repo.comments.values())
    issue = filled("issue_comment", 1, "issue", **_names(world, repo))
    issue |= {name: shown[name] for name in (*same, "closed_at", "author_association", "draft")}
    issue |= {"id": one.id + 1, "comments": said, "url": shown["issue_url"]}
    issue |= {"comments_url": shown["comments_url"], "html_url": shown["html_url"]}
    issue |= dict.fromkeys(("assignee", "milestone")) | {"assignees": [], "locked": False}
    pull_request = {name: shown[name] for name in links} | {"url": shown["url"]}
    return issue | {"pull_request": pull_request | {"merged_at": one.merged_at}}
