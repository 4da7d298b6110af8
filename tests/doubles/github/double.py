"""The double as a whole: its server, and what people do on it."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.serving import make_server

from . import (  # noqa: F401  # noqa: F401
    events,
    merging,
    rest_apps,
    rest_checks,
    rest_comments,
    rest_deployments,
    rest_hooks,
    rest_labels,
    rest_pulls,
    rest_repos,
    rest_statuses,
    shapes,
)
from .calls import Call
from .conformity import Description
from .faults import Rule
from .git_store import Files, GitStore
from .sending import Sender, Weather
from .service import API, Service
from .world import App, Hook, Pull, Repository, Token, World

PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "pull_requests": "write",
    "issues": "write",
    "checks": "write",
    "deployments": "write",
}
EVENTS = ("push", "pull_request", "issue_comment", "check_run")


class GitHubDouble:
    """Listens at ``web``, its API at ``api``; all that is done to it is under one lock."""

    def __init__(self, folder: Path, *, port: int = 0, seed: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.world = World(folder)
        self.world.sender = Sender(self.world, seed)
        self.service = Service(self.world, Description())
        self._server = make_server("127.0.0.1", port, self.service.app, threaded=True)
        self.web = f"http://127.0.0.1:{self._server.server_port}"
        self.api = self.web + API
        self.world.web, self.world.api = self.web, self.api
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more answers, no more deliveries."""
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
        self.world.close()

    # who and what there is

    def create_repository(
        self, slug: str, files: Files | None = None, *, source: str = "", private: bool = False
    ) -> str:
        """A repository whose main has these files, or what the repository ``source`` has."""
        with self.world.lock:
            repo = self._made(slug, private=private)
            repo.git.make(Path(source) if source else None)
            if files:
                commit = repo.git.write("", files, repo.owner, "Start")
                repo.git.set("refs/heads/main", commit)
            return repo.head()

    def give(self, slug: str, login: str, role: str) -> None:
        """A role in a repository: one of ``world.ROLES``."""
        with self.world.lock:
            self.world.repository(slug).roles[self.world.user(login).login.lower()] = role

    def contributor(self, slug: str, login: str) -> None:
        """Somebody whose contributions were taken before."""
        with self.world.lock:
            self.world.repository(slug).members.add(self.world.user(login).login.lower())

    def token(self, login: str, roles: Mapping[str, str]) -> str:
        """A user's token; the user has these roles in repositories."""
        with self.world.lock:
            for slug, role in roles.items():
                self.give(slug, login, role)
            text = f"ghp_{secrets.token_hex(18)}"
            self.world.tokens[text] = Token(text, self.world.user(login).login)
            return text

    def app(
        self,
        slugs: Sequence[str],
        *,
        name: str = "waas",
        permissions: Mapping[str, str] = PERMISSIONS,
        events: Sequence[str] = EVENTS,
    ) -> SimpleNamespace:
        """An App installed in repositories: ``id``, ``installation``, ``key``, ``login``."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with self.world.lock:
            made = App(
                self.world.next_id(),
                name,
                pem.decode(),
                public.decode(),
                self.world.next_id(),
                set(slugs),
                dict(permissions),
                tuple(events),
            )
            self.world.apps[made.id] = made
            self.world.user(made.login)
        return SimpleNamespace(
            id=made.id, installation=made.installation, key=made.key, login=made.login
        )

    def hook(
        self, url: str, secret: str, *, slug: str = "", app: int = 0, events: Sequence[str] = EVENTS
    ) -> int:
        """Have an App's events, or a repository's, sent to an address."""
        with self.world.lock:
            number = self.world.next_id()
            self.world.hooks[number] = Hook(number, url, secret, tuple(events), slug, app)
        return number

    # what people do

    def push(
        self,
        slug: str,
        branch: str,
        login: str,
        files: Files,
        *,
        message: str = "A change",
        start: str = "",
        force: bool = False,
    ) -> str:
        """A commit on a branch, which is begun at ``start`` or main if it is not there."""
        with self.world.lock:
            repo = self.world.repository(slug)
            there = "" if force else repo.git.refs.get(f"refs/heads/{branch}", "")
            parent = there or start or repo.head()
            commit = repo.git.write(parent, files, self.world.user(login).login, message)
            merging.moved(self.world, repo, f"refs/heads/{branch}", commit, login)
            return commit

    def delete_branch(self, slug: str, branch: str, login: str) -> None:
        with self.world.lock:
            merging.moved(
                self.world, self.world.repository(slug), f"refs/heads/{branch}", "", login
            )

    def fork(self, slug: str, login: str) -> str:
        """A fork, which has the upstream's branches."""
        with self.world.lock:
            upstream = self.world.repository(slug)
            name = f"{login}/{upstream.name}"
            if name.lower() not in self.world.repositories:
                made = self._made(name, parent=slug)
                made.git.make(lender=upstream.git.path)
            return name

    def open_pull(
        self,
        slug: str,
        branch: str,
        title: str,
        login: str,
        *,
        files: Files | None = None,
        body: str = "",
        draft: bool = False,
        fork: bool = False,
    ) -> int:
        """A pull request to main, of a branch here or in the fork of ``login``; its number."""
        with self.world.lock:
            repo = self.world.repository(slug)
            source = self.world.repository(self.fork(slug, login)) if fork else repo
            if files is not None:
                self.push(source.slug, branch, login, files, start=repo.head())
            head = source.git.refs[f"refs/heads/{branch}"]
            now = self.world.now()
            one = Pull(
                self.world.next_id(), max(repo.pulls, default=0) + 1, title,
                self.world.user(login).login, source.slug, source.owner, branch, head,
                "main", repo.head(), now, now, body, draft=draft,
                association=shapes.association(repo, login),
            )  # fmt: skip
            repo.pulls[one.number] = one
            repo.git.take(source.git, head, f"refs/pull/{one.number}/head")
            self.world.note("pull opened", repository=slug, pull=one.number, by=login)
            events.pull(self.world, repo, one, "opened", login)
            return one.number

    def edit_pull(self, slug: str, number: int, login: str, **changes: Any) -> None:
        """Change ``title``, ``body`` or ``draft``."""
        with self.world.lock:
            repo = self.world.repository(slug)
            one = repo.pulls[number]
            more = {}
            for name in ("title", "body"):
                if name in changes:
                    more[name] = {"from": getattr(one, name)}
                    setattr(one, name, changes[name])
            one.updated_at = self.world.now()
            if more:
                events.pull(self.world, repo, one, "edited", login, changes=more)
            if "draft" in changes:
                one.draft = changes["draft"]
                action = "converted_to_draft" if one.draft else "ready_for_review"
                events.pull(self.world, repo, one, action, login)

    def merge(self, slug: str, number: int, login: str, method: str = "merge") -> str:
        """Merge it as GitHub's button does; main's new commit."""
        with self.world.lock:
            repo = self.world.repository(slug)
            return merging.merge(self.world, repo, repo.pulls[number], login, method)

    def close(self, slug: str, number: int, login: str) -> None:
        with self.world.lock:
            repo = self.world.repository(slug)
            merging.close(self.world, repo, repo.pulls[number], login)

    def reopen(self, slug: str, number: int, login: str) -> None:
        with self.world.lock:
            repo = self.world.repository(slug)
            one = repo.pulls[number]
            one.state, one.closed_at, one.updated_at = "open", None, self.world.now()
            events.pull(self.world, repo, one, "reopened", login)

    def comment(self, slug: str, number: int, login: str, text: str) -> int:
        """A comment on a pull request; its id."""
        with self.world.lock:
            return rest_comments.put(self._as(slug, login), number, login, text).id

    def edit_comment(self, slug: str, comment: int, login: str, text: str) -> None:
        with self.world.lock:
            call = self._as(slug, login)
            rest_comments.edit(call, call.repo.comments[comment], login, text)

    def delete_comment(self, slug: str, comment: int, login: str) -> None:
        with self.world.lock:
            call = self._as(slug, login)
            one = call.repo.comments[comment]
            one.deleted = True
            events.comment(self.world, call.repo, one, "deleted", login)

    def rerequest(self, slug: str, check_run: int, login: str) -> None:
        """Press "Re-run" at a check."""
        with self.world.lock:
            repo = self.world.repository(slug)
            run = repo.check_runs[check_run]
            events.check_run(self.world, repo, run, "rerequested", login)

    # what goes wrong

    def fail(self, match: str, *, times: int = 1, how: str, seconds: float = 1.0) -> None:
        """Have the next requests that match fail: see ``faults``."""
        self.service.faults.add(Rule(match, times, how, seconds))

    def heal(self) -> None:
        """No more failures."""
        self.service.faults.clear()

    def weather(self, **how: float) -> None:
        """How webhooks fare from now on: see ``sending.Weather``."""
        self.world.sender.weather = Weather(**how)

    def idle(self, seconds: float = 30.0) -> bool:
        """Wait until all webhooks are sent; whether they are."""
        return self.world.sender.idle(seconds)

    def redeliver(self, number: int) -> None:
        """Send a delivery again."""
        self.world.redeliver(number)

    def limit(self, requests: int) -> None:
        """Requests that each token has in an hour."""
        self.service.limits.limit = requests

    # what can be seen

    @property
    def violations(self) -> list[str]:
        """Where somebody did not keep to GitHub's description."""
        with self.world.lock:
            return list(self.world.violations)

    def asked(self) -> list[str]:
        """All requests to the API until now."""
        with self.world.lock:
            return list(self.service.asked)

    def deliveries(self) -> list[dict[str, Any]]:
        """GitHub's record of deliveries."""
        with self.world.lock:
            return [
                {"id": d.id, "guid": d.guid, "event": d.event, "status": d.status_code}
                for d in self.world.deliveries.values()
            ]

    def pull(self, slug: str, number: int) -> dict[str, Any]:
        """A pull request with all that hangs on it, as plain data."""
        with self.world.lock:
            repo = self.world.repository(slug)
            one = repo.pulls[number]
            said = [c for c in repo.comments.values() if c.pull == number and not c.deleted]
            return {
                "state": one.state,
                "merged": bool(one.merged_at),
                "head": one.head_sha,
                "labels": sorted(one.labels),
                "comments": [
                    {"id": c.id, "user": c.user, "body": c.body, "edits": len(c.history) - 1,
                     "reactions": [r["content"] for r in c.reactions]}
                    for c in said
                ],
                "checks": self.checks(slug, one.head_sha),
            }  # fmt: skip

    def texts(self, slug: str, pattern: str) -> dict[str, str]:
        """Files of main whose paths are like the pattern."""
        with self.world.lock:
            repo = self.world.repository(slug)
            paths = repo.git.git("ls-tree", "-r", "--name-only", repo.head()).splitlines()
            return {
                path: repo.git.git("show", f"{repo.head()}:{path}")
                for path in paths
                if fnmatchcase(path, pattern)
            }

    def checks(self, slug: str, commit: str) -> dict[str, str]:
        """Of each check or status of a commit how it is: its conclusion or its state."""
        with self.world.lock:
            repo = self.world.repository(slug)
            found = {
                run["name"]: run["conclusion"] or run["status"]
                for run in repo.check_runs.values()
                if run["head_sha"] == commit
            }
            statuses = {s["context"]: s["state"] for s in repo.statuses if s["sha"] == commit}
            return found | statuses

    def effects(self, slug: str) -> dict[str, Any]:
        """What was written, counted; and what was written again although it was there."""
        with self.world.lock:
            repo = self.world.repository(slug)
            comments = [(c.pull, c.user) for c in repo.comments.values() if not c.deleted]
            deployments = [
                (d["sha"], d["environment"], d["task"]) for d in repo.deployments.values()
            ]
            return {
                "comments": _counted(comments),
                "check_runs": _repeated_runs(repo),
                "statuses": _repeated(repo),
                "deployments": _counted(deployments),
                "deployment_statuses": _repeated_deployments(repo),
            }

    def _made(self, slug: str, *, private: bool = False, parent: str = "") -> Repository:
        git = GitStore(self.world.folder / "git" / f"{slug}.git")
        made = Repository(
            self.world.next_id(), slug, git, self.world.now(), private=private, parent=parent
        )
        self.world.repositories[slug.lower()] = made
        self.world.user(made.owner)
        return made

    def _as(self, slug: str, login: str) -> Call:
        caller = Token("", self.world.user(login).login)
        found = self.world.repository(slug)
        return Call(self.world, caller, {}, {}, {}, found=found)


def _counted(items: list[Any]) -> list[list[Any]]:
    return [[*key, count] for key, count in sorted(Counter(items).items())]


def _repeated(repo: Repository) -> list[list[Any]]:
    """Statuses that say again what the one before of their context said."""
    newest: dict[tuple[str, str], Any] = {}
    found = []
    for one in repo.statuses:
        key, says = (one["sha"], one["context"]), (one["state"], one["description"])
        if newest.get(key) == says:
            found.append([*key, *says])
        newest[key] = says
    return found


def _repeated_runs(repo: Repository) -> list[list[Any]]:
    """Check runs that were made to say what the one before of their name said at its end."""
    newest: dict[tuple[str, int, str], Any] = {}
    found = []
    for run in repo.check_runs.values():
        key = (run["head_sha"], run["app"], run["name"])
        first, last = run["history"][0], run["history"][-1]
        if newest.get(key) == first["external_id"]:
            found.append([*key, first["external_id"]])
        newest[key] = last["external_id"]
    return found


def _repeated_deployments(repo: Repository) -> list[list[Any]]:
    found = []
    for one in repo.deployments.values():
        states = [s["state"] for s in one["statuses"]]
        found += [[one["id"], state] for state, after in pairwise(states) if state == after]
    return found
