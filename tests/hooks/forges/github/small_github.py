"""A GitHub of one repository, as far as it is written to: it keeps what it is told.

Faults: ``cut`` names requests whose effect happens and whose answer is lost, once each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scripted_http import Answer, Asked, Scripted

SLUG = "lab/registry"
OURS = "waas[bot]"
HEAD = "a" * 40
_TIME = "2026-01-01T00:00:{:02}Z"


class SmallGitHub(Scripted):
    def __init__(self) -> None:
        super().__init__()
        self.ids = count(1)
        self.comments: list[dict[str, Any]] = []
        self.labels: dict[int, list[str]] = {}
        self.known_labels = {"bug": "000000"}
        self.runs: list[dict[str, Any]] = []
        self.annotations: dict[int, list[dict[str, Any]]] = {}
        self.statuses: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []
        self.deployment_statuses: dict[int, list[dict[str, Any]]] = {}
        self.reactions: set[tuple[int, str]] = set()
        self.cut: set[str] = set()
        self.login = OURS
        self.before_answer: Callable[[str], None] = lambda _: None

    @property
    def writes(self) -> int:
        return sum(a.verb != "GET" and "access_tokens" not in a.path for a in self.asked)

    def answer(self, asked: Asked) -> Answer:
        path = urlsplit(asked.path).path
        what = f"{asked.verb} {path}"
        if what in self.answers or path.startswith(("/app", "/user")):
            return super().answer(asked)
        self.asked.append(asked)
        self.before_answer(what)
        query = {k: v[0] for k, v in parse_qs(urlsplit(asked.path).query).items()}
        for pattern, act in ROUTES.items():
            found = re.fullmatch(pattern, what.replace(f"/repos/{SLUG}", ""))
            if found:
                status, body = act(self, *map(unquote, found.groups()), asked.body or query)
                if what in self.cut:
                    self.cut.remove(what)
                    return Answer(cut=True)
                return paged(status, body, query, self.url + path)
        return Answer(404, {"message": "Not Found"})

    def comment(self, pull: int, login: str, body: str) -> dict[str, Any]:
        made = {
            "id": next(self.ids),
            "body": body,
            "user": {"login": login},
            "created_at": _TIME.format(len(self.comments)),
            "updated_at": _TIME.format(len(self.comments)),
            "html_url": f"https://github.com/{SLUG}/pull/{pull}#issuecomment-1",
            "pull": pull,
        }
        self.comments.append(made)
        return made

    def list_comments(self, pull, _query):
        return 200, [c for c in self.comments if c["pull"] == int(pull)]

    def list_all_comments(self, query):
        found = [c for c in self.comments if c["updated_at"] >= query["since"]]
        return 200, sorted(found, key=lambda c: c["updated_at"])

    def add_comment(self, pull, body):
        return 201, self.comment(int(pull), self.login, body["body"])

    def edit_comment(self, name, body):
        found = next((c for c in self.comments if c["id"] == int(name)), None)
        if found is None:
            return 404, {"message": "Not Found"}
        found["body"] = body["body"]
        return 200, found

    def delete_comment(self, name, _body):
        left = [c for c in self.comments if c["id"] != int(name)]
        gone = len(left) < len(self.comments)
        self.comments = left
        return (204, None) if gone else (404, {"message": "Not Found"})

    def react(self, name, body):
        if not any(c["id"] == int(name) for c in self.comments):
            return 404, {"message": "Not Found"}
        self.reactions.add((int(name), body["content"]))
        return 201, {"id": 1}

    def list_labels(self, pull, _query):
        return 200, [{"name": name} for name in self.labels.get(int(pull), [])]

    def add_labels(self, pull, body):
        self.labels.setdefault(int(pull), []).extend(body["labels"])
        for name in body["labels"]:
            self.known_labels.setdefault(name, "ededed")
        return self.list_labels(pull, None)

    def remove_label(self, pull, name, _body):
        there = self.labels.get(int(pull), [])
        if name not in there:
            return 404, {"message": "Label does not exist"}
        there.remove(name)
        return 200, []

    def make_label(self, body):
        if body["name"].lower() in {name.lower() for name in self.known_labels}:
            errors = [{"code": "already_exists"}]
            return 422, {"message": "Validation Failed", "errors": errors}
        self.known_labels[body["name"]] = body["color"]
        return 201, {"id": 1}

    def list_runs(self, head, query):
        found = [r for r in self.runs if r["head_sha"] == head and r["name"] == query["check_name"]]
        return 200, {"total_count": len(found), "check_runs": found[::-1]}

    def make_run(self, body):
        run = {"id": next(self.ids), "external_id": None, "status": "queued", "output": {}}
        self.runs.append(run)
        self.annotations[run["id"]] = []
        return 201, self._changed(run, body)

    def edit_run(self, name, body):
        return 200, self._changed(next(r for r in self.runs if r["id"] == int(name)), body)

    def _changed(self, run, body):
        output = dict(body.pop("output", {}))
        added = output.pop("annotations", [])
        assert len(added) <= 50
        self.annotations[run["id"]] += added
        run.update(body)
        run["output"].update(output)
        run["output"]["annotations_count"] = len(self.annotations[run["id"]])
        return run

    def list_statuses(self, head, _query):
        return 200, [s for s in self.statuses[::-1] if s["sha"] == head]

    def make_status(self, head, body):
        self.statuses.append({"target_url": None, **body, "sha": head})
        return 201, self.statuses[-1]

    def list_deployments(self, query):
        keys = [k for k in ("sha", "task", "environment") if k in query]
        found = [d for d in self.deployments if all(d[k] == query[k] for k in keys)]
        return 200, found[::-1]

    def make_deployment(self, body):
        made = {"id": next(self.ids), "sha": body["ref"], **body}
        self.deployments.append(made)
        return 201, made

    def list_deployment_statuses(self, name, _query):
        return 200, self.deployment_statuses.get(int(name), [])[::-1]

    def make_deployment_status(self, name, body):
        made = {"id": next(self.ids), "description": "", "log_url": "", **body}
        self.deployment_statuses.setdefault(int(name), []).append(made)
        return 201, made


ROUTES: dict[str, Callable[..., tuple[int, Any]]] = {
    r"GET /issues/(\d+)/comments": SmallGitHub.list_comments,
    r"POST /issues/(\d+)/comments": SmallGitHub.add_comment,
    r"GET /issues/comments": SmallGitHub.list_all_comments,
    r"PATCH /issues/comments/(\d+)": SmallGitHub.edit_comment,
    r"DELETE /issues/comments/(\d+)": SmallGitHub.delete_comment,
    r"POST /issues/comments/(\d+)/reactions": SmallGitHub.react,
    r"GET /issues/(\d+)/labels": SmallGitHub.list_labels,
    r"POST /issues/(\d+)/labels": SmallGitHub.add_labels,
    r"DELETE /issues/(\d+)/labels/(.+)": SmallGitHub.remove_label,
    r"POST /labels": SmallGitHub.make_label,
    r"GET /commits/(\w+)/check-runs": SmallGitHub.list_runs,
    r"POST /check-runs": SmallGitHub.make_run,
    r"PATCH /check-runs/(\d+)": SmallGitHub.edit_run,
    r"GET /commits/(\w+)/statuses": SmallGitHub.list_statuses,
    r"POST /statuses/(\w+)": SmallGitHub.make_status,
    r"GET /deployments": SmallGitHub.list_deployments,
    r"POST /deployments": SmallGitHub.make_deployment,
    r"GET /deployments/(\d+)/statuses": SmallGitHub.list_deployment_statuses,
    r"POST /deployments/(\d+)/statuses": SmallGitHub.make_deployment_status,
}


def paged(status: int, body: Any, query: dict[str, str], url: str) -> Answer:
    """A page of a list, with the way to the next."""
    if not isinstance(body, list):
        return Answer(status, body)
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    more = len(body) > size * page
    others = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
    link = {"Link": f'<{url}?{others}&page={page + 1}>; rel="next"'} if more else {}
    return Answer(status, body[size * (page - 1) : size * page], link)
