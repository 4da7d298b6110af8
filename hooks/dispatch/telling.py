"""Telling a forge how far a pull request is: one comment, statuses, a label.

All is made from the record each time, so a step that ran twice, or a forge that was away,
changes nothing in what people see at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ci.errors import SettingsError, SiteError
from ci.findings import Report
from ci.report import render_markdown, summary
from hooks.db.tables import PullRequest
from hooks.dispatch.comment import Answered, Deployed, Told, text
from hooks.dispatch.comment_markdown import markdown
from hooks.dispatch.pulls import (
    BUILDING,
    FAILED,
    FINISHED,
    MERGED,
    OPEN,
    PASSED,
    PENDING,
    PullRequests,
)
from hooks.dispatch.untold import Untold
from hooks.forges.seams import Comment, DeploymentNotice, Notices, Status

log = logging.getLogger(__name__)

_TURNS = 16  # locks for the pull requests of a repository: each is a file, and files stay
PLAIN_MERGE = "git push origin HEAD:main"
_LABELS = {FAILED: "failed", PENDING: "validating", PASSED: "validated"}

Answers = Callable[[str, int], Iterable[Answered]]
"""The newest commands on a pull request (repository, number), and what came of them."""

Turn = Callable[[str], AbstractContextManager[None]]
"""Makes sure, among all processes, that one at a time does what is called so."""

DeployedBy = Callable[[str, str], Iterable[Deployed]]
"""How far the deployments of a commit of main (repository, commit) are."""


@dataclass(frozen=True)
class Telling:
    """Tells forges what is recorded. Raises a transient ``SiteError`` while one cannot be reached;
    what one refuses is told again later.

    ``hosted`` names the repositories that people merge on the forge's own pages; ``url`` is where
    our pages are.
    """

    notices: Mapping[str, Notices]
    pulls: PullRequests
    answers: Answers
    deployed: DeployedBy
    untold: Untold
    turn: Turn
    hosted: frozenset[str] = frozenset()
    url: str = ""

    def begin(self, pull: Mapping[str, Any]) -> None:
        """It is being validated: said where that costs nothing, or where a verdict stands already.

        Elsewhere the verdict comes in a moment, and GitHub takes only so much to be told.
        """
        row = self.pulls.get(pull["id"])
        if row.report or row.repository not in self.hosted:
            self.pending(pull)

    def pending(self, pull: Mapping[str, Any]) -> None:
        """It is being validated, if it still is."""
        with self._turn(self.pulls.get(pull["id"])):
            row = self._current(pull)
            if row is not None and row.verdict == PENDING:
                self._try(row, partial(self._status, row, PENDING, "being validated"))

    def tell(self, pull: Mapping[str, Any]) -> None:
        """Everything that is recorded of it, unless it has moved on."""
        with self._turn(self.pulls.get(pull["id"])):
            row = self._current(pull)
            if row is not None and row.report:
                self._tell(row)

    def again(self, repository: str) -> None:
        """Tell what a forge refused to be told a while ago."""
        for number in self.untold.due(repository):
            self.untold.drop(repository, number)
            row = self.pulls.numbered(repository, number)
            if row is None or not row.report:
                continue
            with self._turn(row):
                row = self.pulls.get(row.id)
                if row.state == OPEN:
                    self._tell(row)
                else:
                    self._comment(row)

    def comment(self, row: PullRequest) -> None:
        """The comment alone, for what concerns nothing else."""
        with self._turn(row):
            self._comment(self.pulls.get(row.id))

    def _turn(self, row: PullRequest) -> AbstractContextManager[None]:
        """Whoever looks what is there and then writes is alone with the pull request."""
        return self.turn(f"telling-{row.repository}-{row.number % _TURNS}")

    def _comment(self, row: PullRequest) -> None:
        told = self._told(row)
        comment = Comment(text(told), markdown(told))
        notices = self.notices[row.repository]
        self._try(row, partial(notices.upsert_comment, row.number, comment))

    def deployment(self, repository: str, notice: DeploymentNotice) -> None:
        """How far a commit of main is at a site; also on the pull request that brought it."""
        link = f"{self.url}/" if self.url else ""
        try:
            with self.turn(f"telling-{repository}-{notice.site}"):
                self.notices[repository].show_deployment(replace(notice, link=link))
        except (SiteError, SettingsError) as error:
            if isinstance(error, SiteError) and error.transient:
                raise
            log.warning("%s: a deployment is not shown: %s", repository, error)
        for number in self.pulls.merged_as(repository, notice.commit):
            row = self.pulls.numbered(repository, number)
            if row is not None and row.report:
                self.comment(row)

    def _tell(self, row: PullRequest) -> None:
        notices = self.notices[row.repository]
        found = Report.from_dict(row.report)
        self._comment(row)  # first: whoever waits for the verdict then reads it
        self._try(row, partial(self._status, row, row.verdict, summary(found), found))
        for status in self._build_statuses(row):
            self._try(row, partial(notices.show, status))
        self._try(row, partial(notices.label, row.number, label_of(row)))

    def _try(self, row: PullRequest, act: Callable[[], None]) -> None:
        """Tell one thing; a refusal that will last is no reason not to tell the others."""
        try:
            act()
        except (SiteError, SettingsError) as error:
            if isinstance(error, SiteError) and error.transient:
                raise
            log.warning("%s #%d is told again later: %s", row.repository, row.number, error)
            self.untold.put(row.repository, row.number)

    def _current(self, pull: Mapping[str, Any]) -> PullRequest | None:
        row = self.pulls.get(pull["id"])
        same = (row.base, row.head) == (pull["base"], pull["head"])
        return row if same and row.state == OPEN else None

    def _told(self, row: PullRequest) -> Told:
        return Told(
            number=row.number,
            head=row.head,
            found=Report.from_dict(row.report) if row.report else Report.of([]),
            plan=row.plan.get("builds", []),
            builds=row.plan.get("results", []),
            held=row.plan.get("held", ""),
            how="" if row.repository in self.hosted else PLAIN_MERGE,
            link=self._link(row),
            deployed=self._deployed(row),
            answers=list(self.answers(row.repository, row.number)),
            pending=not row.report,
        )

    def _deployed(self, row: PullRequest) -> list[Deployed]:
        if row.state != MERGED:
            return []
        return list(self.deployed(row.repository, row.merge_commit))

    def _status(self, row: PullRequest, state: str, line: str, found: Report | None = None) -> None:
        status = Status(
            head=row.head,
            base=row.base,
            state=state,
            summary=line,
            pull=row.number,
            text=render_markdown(found) if found else "",
            findings=found.findings if found else (),
            link=self._link(row),
        )
        self.notices[row.repository].show(status)

    def _build_statuses(self, row: PullRequest) -> Iterable[Status]:
        by_site: dict[str, list[Mapping[str, Any]]] = {}
        for result in row.plan.get("results", []):
            by_site.setdefault(result["site"], []).append(result)
        for site, results in sorted(by_site.items()):
            state, line = _state_of_builds(results)
            name = f"build {site}"
            yield Status(
                row.head, row.base, state, line, row.number, name=name, link=self._link(row)
            )

    def _link(self, row: PullRequest) -> str:
        return f"{self.url}/pages/pulls/{row.repository}/{row.number}" if self.url else ""


def label_of(row: PullRequest) -> str:
    """The one word for where a pull request is."""
    if row.verdict != PASSED:
        return _LABELS[row.verdict]
    if row.build_state == FAILED:
        return "build failed"
    if row.build_state in {BUILDING, FINISHED}:
        return "building" if row.build_state == BUILDING else "built"
    return "needs approval" if row.plan.get("held") else _LABELS[PASSED]


def _state_of_builds(results: list[Mapping[str, Any]]) -> tuple[str, str]:
    errors = [r for r in results if r.get("error")]
    failed = [r for r in errors if r.get("state") != "CANCELLED"]
    if failed:
        return FAILED, f"{failed[0]['step']}: {failed[0]['error']}"
    if errors:
        return "CANCELLED", "cancelled"
    left = sum("digest" not in r and not r["reused"] for r in results)
    count = f"{len(results)} image{'' if len(results) == 1 else 's'}"
    return (PENDING, f"{left} of {count} to build") if left else (PASSED, f"{count} there")
