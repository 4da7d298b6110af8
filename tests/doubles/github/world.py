"""What is on the double: users, repositories and all that hangs on them; no behaviour."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .git_store import GitStore

if TYPE_CHECKING:
    from .sending import Delivery, Sender

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
NOBODY = "ghost"


@dataclass
class User:
    id: int
    login: str
    type: str = "User"  # or Bot, Organization


@dataclass
class Pull:
    id: int
    number: int
    title: str
    user: str
    head_repo: str  # empty when the fork is gone
    head_user: str
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    created_at: str
    updated_at: str
    body: str = ""
    state: str = "open"
    draft: bool = False
    closed_at: str | None = None
    merged_at: str | None = None
    merged_by: str | None = None
    merge_commit_sha: str | None = None
    association: str = "CONTRIBUTOR"
    labels: list[str] = field(default_factory=list)
    tested: tuple[str, str] = ("", "")  # the base and head that merge_commit_sha is a trial of


@dataclass
class Comment:
    id: int
    pull: int
    user: str
    body: str
    created_at: str
    updated_at: str
    app: int = 0
    deleted: bool = False
    history: list[str] = field(default_factory=list)
    reactions: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Hook:
    """A webhook; ``slug`` is empty for an App's."""

    id: int
    url: str
    secret: str
    events: tuple[str, ...]
    slug: str = ""
    app: int = 0


@dataclass
class App:
    """A GitHub App with its one installation. ``key`` is the private key, as PEM."""

    id: int
    slug: str
    key: str
    public: str
    installation: int
    repositories: set[str]
    permissions: dict[str, str]
    events: tuple[str, ...]
    suspended_at: str | None = None

    @property
    def login(self) -> str:
        return f"{self.slug}[bot]"


@dataclass
class Token:
    """``expires`` in Unix seconds; ``app`` is 0 for a user's; ``used`` counts this hour's uses."""

    token: str
    login: str
    app: int = 0
    expires: float = float("inf")
    used: int = 0
    reset: int = 0


@dataclass
class Repository:
    id: int
    slug: str
    git: GitStore
    created_at: str
    private: bool = False
    default_branch: str = "main"
    parent: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)  # whose contributions were merged
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)  # by lower-case name
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    check_runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    suites: dict[tuple[str, int], int] = field(default_factory=dict)
    deployments: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.slug.partition("/")[0]

    @property
    def name(self) -> str:
        return self.slug.partition("/")[2]

    def head(self) -> str:
        """The commit of the default branch, empty if there is none."""
        return self.git.refs.get(f"refs/heads/{self.default_branch}", "")


class World:
    """Everything, under one lock. ``journal`` has each change as a line of JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.web = self.api = ""
        self.ids = count(1001)
        self.users: dict[str, User] = {}
        self.repositories: dict[str, Repository] = {}
        self.apps: dict[int, App] = {}
        self.tokens: dict[str, Token] = {}
        self.hooks: dict[int, Hook] = {}
        self.violations: list[str] = []
        self.sender: Sender
        self.ahead = 0.0  # seconds that this clock is ahead of the machine's
        self._journal = (folder / "journal.jsonl").open("a", encoding="utf-8")

    def post(self, hook: Hook, repo: Repository, event: str, payload: dict[str, Any]) -> None:
        """Tell a webhook."""
        self.sender.post(hook, repo, event, payload)

    def redeliver(self, number: int) -> None:
        self.sender.redeliver(number)

    @property
    def deliveries(self) -> dict[int, Delivery]:
        return self.sender.deliveries

    def time(self) -> float:
        """Unix seconds."""
        return time.time() + self.ahead

    def now(self) -> str:
        """As GitHub writes times."""
        return iso(self.time())

    def next_id(self) -> int:
        return next(self.ids)

    def user(self, login: str) -> User:
        """The user of this name, who is made at need."""
        with self.lock:
            if login.lower() not in self.users:
                kind = "Bot" if login.endswith("[bot]") else "User"
                self.users[login.lower()] = User(self.next_id(), login, kind)
            return self.users[login.lower()]

    def repository(self, slug: str) -> Repository:
        return self.repositories[slug.lower()]

    def role(self, login: str, repository: Repository) -> str:
        """One of ``ROLES``."""
        if login.lower() == repository.owner.lower():
            return "admin"
        role = repository.roles.get(login.lower())
        return role or ("none" if repository.private else "read")

    def note(self, what: str, **facts: Any) -> None:
        """Write a change down, so that it can be counted whatever becomes of this process."""
        with self.lock:
            self._journal.write(json.dumps({"what": what, "at": self.now(), **facts}) + "\n")
            self._journal.flush()

    def open_pulls(self, slug: str, branch: str) -> Iterator[tuple[Repository, Pull]]:
        """Pull requests anywhere that come from this branch."""
        for repository in self.repositories.values():
            for pull in repository.pulls.values():
                is_from = pull.head_repo.lower() == slug.lower() and pull.head_ref == branch
                if is_from and pull.state == "open":
                    yield repository, pull

    def close(self) -> None:
        self.sender.stop()
        self._journal.close()


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(value: Any) -> Any:
    """A dataclass as JSON has it."""
    return json.loads(json.dumps(asdict(value)))
