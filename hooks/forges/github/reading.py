"""A repository on GitHub, as it is asked: pull requests, commits, rights, what people write.

https://docs.github.com/en/rest/pulls, …/rest/git/refs, …/rest/collaborators, …/rest/issues/comments
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ci.errors import EntryError, SiteError
from ci.git import remote
from ci.git.store import GitStore
from hooks.forges.github.comments import is_marked
from hooks.forges.github.connection import Connection
from hooks.forges.github.events import COMMIT
from hooks.forges.github.failures import AnsweredError
from hooks.forges.github.rights import Rights
from hooks.forges.seams import Ending, Proposal, Remark, Snapshot

MAIN = "main"
LONGEST_REMARK = 2_000  # characters
_KNOWN = {"OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR"}
_TITLE, _BRANCH = 250, 250  # characters
_OVERLAP = timedelta(seconds=60)  # GitHub's lists may lag behind its clock
_MOST_REMARK_PAGES = 10
_PULL = re.compile(r"/pull/([1-9][0-9]{0,9})#")


class GitHubForge:
    """One repository on GitHub; ``mirror`` is the bare repository that its commits are put into."""

    def __init__(self, connection: Connection, slug: str, mirror: Path) -> None:
        self._connection, self._mirror = connection, mirror
        self._repository = f"/repos/{slug}"
        self._address = f"{git_url(connection.settings.url)}/{slug}.git"
        self._rights = Rights(connection, slug)
        self._store: GitStore | None = None
        self._numbers: dict[str, int] = {}  # of the open pull requests, by head
        self._lock = threading.Lock()

    def look(self) -> Snapshot:
        """Main, and the open pull requests to it."""
        main = self._main()
        if not main:
            return Snapshot("")
        found: dict[int, Proposal] = {}
        pages = self._connection.pages(
            f"{self._repository}/pulls", _proposals, state="open", base=MAIN
        )
        for page in pages:
            found |= {proposal.number: proposal for proposal in page}
        self._numbers = {proposal.head: number for number, proposal in found.items()}
        return Snapshot(main, tuple(found[number] for number in sorted(found)))

    def _main(self) -> str:
        """The commit of main, empty for a repository that has no commit yet."""
        try:
            return self._connection.get(f"{self._repository}/git/ref/heads/{MAIN}", _target)
        except AnsweredError as error:
            if error.status not in {404, 409}:  # 409: the repository is empty
                raise
        default = self._connection.get(self._repository, _default_branch)
        if default == MAIN:
            return ""
        raise SiteError(
            f"{self._repository.removeprefix('/repos/')} on GitHub has no branch {MAIN}",
            hint=f"rename {default[:80]!r}: Settings, General, Default branch",
        )

    def fetch(self, *commits: str) -> GitStore:
        """The mirror, with these commits. Raises ``EntryError`` if GitHub has one no more."""
        for commit in commits:
            if not remote.has(self._mirror, commit) and not self._bring(commit):
                raise EntryError(
                    f"the commit {commit[:10]} is not on GitHub any more",
                    hint="a newer push has taken its place",
                )
        with self._lock:
            self._store = self._store or GitStore(self._mirror)
            return self._store

    def _bring(self, commit: str) -> bool:
        """Fetch where the commit may be, one after the other; whether it is there then."""
        pulls = [f"refs/pull/{number}/head" for number in self._numbers_of(commit)[:5]]
        for ref in [*pulls, f"refs/heads/{MAIN}"]:
            token = self._connection.token()
            remote.fetch(self._mirror, self._address, [ref], token=token)
            if remote.has(self._mirror, commit):
                return True
        return False

    def _numbers_of(self, commit: str) -> list[int]:
        """The pull requests that have this commit: none if it is main."""
        if commit not in self._numbers and self.look().main == commit:
            return []
        if commit in self._numbers:
            return [self._numbers[commit]]
        try:
            return self._connection.get(f"{self._repository}/commits/{commit}/pulls", _numbers)
        except AnsweredError as error:
            if error.status not in {404, 409, 422}:  # no such commit
                raise
            return []

    def ending(self, number: int, head: str) -> Ending | None:  # noqa: ARG002 numbers stay
        """Merged or closed; one that now goes to another branch than main is closed for us."""
        try:
            return self._connection.get(f"{self._repository}/pulls/{number}", _ending)
        except AnsweredError as error:
            if error.status != 404:
                raise
            return Ending(merged=False)

    def may(self, user: str, right: str) -> bool:
        """By the user's role in the repository. What cannot be read is no right."""
        return self._rights.has(user, right)

    def remarks(self, since: str) -> tuple[Sequence[Remark], str]:
        """Comments on pull requests that were written or changed; the mark is a time of GitHub's.

        The mark stays as long as nothing is written: the same question costs no rate limit.
        """
        path = f"{self._repository}/issues/comments"
        if not since:
            return (), _shifted(self._now(), -_OVERLAP)
        found: list[Remark] = []
        newest, whole = since, True
        pages = self._connection.pages(
            path,
            _remarks,
            most=_MOST_REMARK_PAGES + 1,
            since=since,
            sort="updated",
            direction="asc",
        )
        for number, page in enumerate(pages):
            if number == _MOST_REMARK_PAGES:
                whole = False
                break
            found += [remark for remark, _ in page if self._counts(remark)]
            newest = max([newest, *(time for _, time in page)])
        mark = max(since, _shifted(newest, -_OVERLAP)) if whole else newest
        return found, mark

    def _now(self) -> str:
        said = self._connection.date(self._repository)
        try:
            return _written(parsedate_to_datetime(said))
        except ValueError:
            return _written(datetime.now(UTC))

    def _counts(self, remark: Remark) -> bool:
        """Whether somebody else wrote it on a pull request. A token may be a person's, who writes
        commands as well.
        """
        is_ours = is_marked(remark.text) and remark.author == self._connection.login()
        return bool(remark.pull and remark.author) and not is_ours


def git_url(api: str) -> str:
    """Where git finds repositories, from the address of the REST API.

    https://docs.github.com/en/enterprise-server/rest/enterprise-admin: ``https://HOST/api/v3``;
    with data residency ``https://api.NAME.ghe.com``.
    """
    parts = urlsplit(api)
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"


def _target(ref: Any) -> str:
    return _commit(ref["object"]["sha"])


def _commit(value: Any) -> str:
    if not COMMIT.match(value):
        raise ValueError(value)
    return str(value)


def _default_branch(repository: Any) -> str:
    return str(repository["default_branch"])


def _numbers(pulls: Any) -> list[int]:
    return [int(pull["number"]) for pull in pulls]


def _proposals(pulls: Any) -> list[Proposal]:
    return [_proposal(pull) for pull in pulls if pull["base"]["ref"] == MAIN]


def _proposal(pull: Mapping[str, Any]) -> Proposal:
    head, there = pull["head"], pull["base"]["repo"]
    ours = head["repo"] is not None and head["repo"]["id"] == there["id"]
    user = pull["user"] or {"login": ""}  # an account that is gone
    branch = head["ref"] if ours else f"{(head['user'] or {'login': ''})['login']}:{head['ref']}"
    return Proposal(
        branch=branch[:_BRANCH],
        head=_commit(head["sha"]),
        number=int(pull["number"]),
        title=str(pull["title"])[:_TITLE],
        author=str(user["login"]),
        pusher=str(user["login"]),
        draft=bool(pull.get("draft")),
        trusted=ours and pull.get("author_association") in _KNOWN,
    )


def _ending(pull: Any) -> Ending | None:
    if pull["merged"]:
        return Ending(True, _commit(pull["merge_commit_sha"]))
    if pull["state"] == "open" and pull["base"]["ref"] == MAIN:
        return None
    return Ending(merged=False)


def _remarks(comments: Any) -> list[tuple[Remark, str]]:
    """Those on pull requests, each with the time of its last change.

    One that was edited says nothing: others may have done it, and GitHub does not tell who.
    """
    found = []
    for comment in comments:
        pull, user = _PULL.search(comment["html_url"]), comment["user"]
        author, number = (user["login"] if user else ""), int(pull[1]) if pull else 0
        is_edited = comment["updated_at"] != comment["created_at"]
        text = "" if is_edited else str(comment.get("body") or "")[:LONGEST_REMARK]
        found.append((Remark(str(int(comment["id"])), number, author, text), comment["updated_at"]))
    return found


def _shifted(time: str, by: timedelta) -> str:
    try:
        return _written(datetime.fromisoformat(time) + by)
    except ValueError:
        return time


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
