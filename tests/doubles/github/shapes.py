"""Users, repositories, pull requests, comments and labels, as GitHub shows them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from .examples import filled, node_id
from .world import NOBODY, ROLES, Comment, Pull, Repository, World

Json = dict[str, Any]
REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def user(world: World, login: str) -> Json:
    known = world.user(login)
    made = filled(
        *("pull_request", 13, "pull_request.user"),
        web=world.web,
        api=world.api,
        who=quote(known.login),
        what="",
    )
    made |= {"id": known.id, "node_id": node_id("User", known.id), "login": known.login}
    return made | {"type": known.type, "avatar_url": f"{world.web}/avatars/{known.id}"}


def repository(world: World, repo: Repository) -> Json:
    made = filled(
        *("pull_request", 13, "pull_request.base.repo"),
        web=world.web,
        api=world.api,
        who=repo.owner,
        what=repo.slug,
    )
    opened = sum(pull.state == "open" for pull in repo.pulls.values())
    made |= {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.slug,
        "owner": user(world, repo.owner),
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "default_branch": repo.default_branch,
        "created_at": repo.created_at,
        "updated_at": repo.created_at,
        "pushed_at": repo.created_at,
        "fork": bool(repo.parent),
        "open_issues": opened,
        "open_issues_count": opened,
        "has_discussions": False,
        "allow_forking": True,
        "has_pages": False,
    }
    return made


def full_repository(world: World, repo: Repository, role: str) -> Json:
    """As it is shown to somebody, with what they may do."""
    made = repository(world, repo) | {"network_count": 0, "subscribers_count": 0}
    return made | {"permissions": permissions(role)}


def permissions(role: str) -> Json:
    level = ROLES.index(role)
    names = {"pull": "read", "triage": "triage", "push": "write"}
    names |= {"maintain": "maintain", "admin": "admin"}
    return {name: level >= ROLES.index(least) for name, least in names.items()}


def label(world: World, repo: Repository, name: str) -> Json:
    known = repo.labels[name.lower()]
    url = f"{world.api}/repos/{repo.slug}/labels/{quote(known['name'])}"
    return {"node_id": node_id("Label", known["id"]), "url": url, **known}


def _side(world: World, repo: Repository | None, login: str, ref: str, sha: str) -> Json:
    return {
        "label": f"{login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(world, login) if login != NOBODY else None,
        "repo": repository(world, repo) if repo is not None else None,
    }


def pull(world: World, repo: Repository, one: Pull) -> Json:
    """As in lists."""
    at, page = f"{world.api}/repos/{repo.slug}", f"{world.web}/{repo.slug}/pull/{one.number}"
    issue, self_ = f"{at}/issues/{one.number}", f"{at}/pulls/{one.number}"
    head_repo = world.repositories.get(one.head_repo.lower())
    links = {
        "self": self_,
        "html": page,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{self_}/comments",
        "review_comment": f"{at}/pulls/comments{{/number}}",
        "commits": f"{self_}/commits",
        "statuses": f"{at}/statuses/{one.head_sha}",
    }
    return {
        **dict.fromkeys(("active_lock_reason", "assignee", "auto_merge", "milestone")),
        **{name: [] for name in ("assignees", "requested_reviewers", "requested_teams")},
        "_links": {name: {"href": url} for name, url in links.items()},
        "author_association": one.association,
        "base": _side(world, repo, repo.owner, one.base_ref, one.base_sha),
        "body": one.body or None,
        "closed_at": one.closed_at,
        "comments_url": links["comments"],
        "commits_url": links["commits"],
        "created_at": one.created_at,
        "diff_url": f"{page}.diff",
        "draft": one.draft,
        "head": _side(world, head_repo, one.head_user, one.head_ref, one.head_sha),
        "html_url": page,
        "id": one.id,
        "issue_url": issue,
        "labels": [label(world, repo, name) for name in one.labels],
        "locked": False,
        "merge_commit_sha": one.merge_commit_sha,
        "merged_at": one.merged_at,
        "node_id": node_id("PullRequest", one.id),
        "number": one.number,
        "patch_url": f"{page}.patch",
        "review_comment_url": links["review_comment"],
        "review_comments_url": links["review_comments"],
        "state": one.state,
        "statuses_url": links["statuses"],
        "title": one.title,
        "updated_at": one.updated_at,
        "url": self_,
        "user": user(world, one.user),
    }


def full_pull(world: World, repo: Repository, one: Pull, mergeable: bool | None) -> Json:
    """As asked for alone; ``mergeable`` is None while GitHub has not tried."""
    said = sum(c.pull == one.number and not c.deleted for c in repo.comments.values())
    state = {None: "unknown", True: "clean", False: "dirty"}[mergeable]
    return pull(world, repo, one) | {
        "additions": 1,
        "deletions": 0,
        "changed_files": 1,
        "comments": said,
        "commits": 1,
        "maintainer_can_modify": False,
        "mergeable": mergeable,
        "mergeable_state": state,
        "merged": bool(one.merged_at),
        "merged_by": user(world, one.merged_by) if one.merged_by else None,
        "rebaseable": mergeable,
        "review_comments": 0,
    }


def pull_minimal(world: World, repo: Repository, one: Pull) -> Json:
    """As within check runs."""
    at = f"{world.api}/repos/{repo.slug}"
    here = {"id": repo.id, "name": repo.name, "url": at}
    return {
        "id": one.id,
        "number": one.number,
        "url": f"{at}/pulls/{one.number}",
        "head": {"ref": one.head_ref, "sha": one.head_sha, "repo": here},
        "base": {"ref": one.base_ref, "sha": one.base_sha, "repo": here},
    }


def association(repo: Repository, login: str) -> str:
    """Of somebody to a repository."""
    if login.lower() == repo.owner.lower():
        return "OWNER"
    if login.lower() in repo.roles:
        return "COLLABORATOR"
    return "CONTRIBUTOR" if login.lower() in repo.members else "FIRST_TIME_CONTRIBUTOR"


def comment(world: World, repo: Repository, one: Comment) -> Json:
    at = f"{world.api}/repos/{repo.slug}/issues"
    counts = {word: sum(r["content"] == word for r in one.reactions) for word in REACTIONS}
    related = association(repo, one.user)
    return {
        "author_association": "NONE" if related.startswith("FIRST") else related,
        "body": one.body,
        "created_at": one.created_at,
        "html_url": f"{world.web}/{repo.slug}/pull/{one.pull}#issuecomment-{one.id}",
        "id": one.id,
        "issue_url": f"{at}/{one.pull}",
        "node_id": node_id("IssueComment", one.id),
        "performed_via_github_app": integration(world, one.app) if one.app else None,
        "reactions": {
            "url": f"{at}/comments/{one.id}/reactions",
            "total_count": len(one.reactions),
            **counts,
        },
        "updated_at": one.updated_at,
        "url": f"{at}/comments/{one.id}",
        "user": user(world, one.user),
    }


def integration(world: World, number: int) -> Json:
    """A GitHub App."""
    app = world.apps[number]
    return {
        "id": app.id,
        "slug": app.slug,
        "client_id": f"Iv1.{app.id:016x}",
        "node_id": node_id("Integration", app.id),
        "owner": user(world, "app-owner"),
        "name": app.slug.title(),
        "description": None,
        "external_url": "https://example.org",
        "html_url": f"{world.web}/apps/{app.slug}",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "permissions": app.permissions,
        "events": list(app.events),
    }
