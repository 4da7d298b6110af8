"""From an event to tasks: what it means, given what the forge says now.

Nothing is done because an event says so. An event, and the reconciler without one, make the
record of a repository's pull requests and of its main what the forge says, and start the flows
for what changed; so lost, doubled, late and forged events all come to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from hooks.db.tables import PullRequest
from hooks.dispatch.flows import MERGE
from hooks.dispatch.judgements import Judgements, Starter, Wanted
from hooks.dispatch.pulls import OPEN, PENDING, PullRequests, Pushed
from hooks.forges.marks import Mains, Marks
from hooks.forges.seams import Forge, Proposal
from hooks.registries import Registries, scope_of

BRANCHES = "refs/heads/"
LOOKED_AT = ("push", "create", "delete", "pull_request")
RERUN = ("check_run", "check_suite")
REMARKS = "issue_comment"
_IDLE_ACTIONS = {  # of pull requests; among them are our own labels
    *("labeled", "unlabeled", "assigned", "unassigned", "locked", "unlocked"),
    *("review_requested", "review_request_removed", "milestoned", "demilestoned"),
}

Turn = Callable[[str], AbstractContextManager[None]]
"""Makes sure, among all processes, that one at a time does what is called so."""


class Listener(Protocol):
    """Who takes up what people write on pull requests."""

    def listen(self, repository: str) -> None:
        """Take up what was written since the last time."""


@dataclass(frozen=True)
class Dispatcher:
    """Brings pull requests and main in line with what the forges say."""

    forges: Mapping[str, Forge]
    registries: Registries
    pulls: PullRequests
    marks: Marks
    engine: Starter
    builds: Wanted
    judgements: Judgements
    listener: Listener
    turn: Turn

    def handle(self, repository: str, event: dict[str, Any]) -> str:
        """Look at what an event is about; the reason if there is nothing to do."""
        if repository not in self.forges:
            return f"no repository {str(event.get('unknown') or repository)!r} here"
        kind = str(event.get("event", "push"))
        if kind == REMARKS:
            self.listener.listen(repository)
            return ""
        if kind in RERUN:
            return self._judge_again(repository, event)
        if reason := _without_news(kind, event):
            return reason
        pushed = Pushed(
            branch=str(event.get("ref", "")).removeprefix(BRANCHES),
            head=str(event.get("new") or event.get("head") or ""),
            by=str(event.get("pusher", "")),
            options=event.get("options") if isinstance(event.get("options"), dict) else {},
        )
        return self.align(repository, pushed)

    def reconcile(self, repository: str) -> None:
        """Look at a repository as if everything in it had just been pushed, and at what people
        wrote; let go of builds that a kill kept from being let go of.
        """
        self.align(repository)
        self.listener.listen(repository)
        for pull in self.pulls.merged_lately(repository):
            self.builds.unwanted(f"{repository}:{pull.number}")

    def align(self, repository: str, pushed: Pushed | None = None) -> str:
        """Make our record what the forge says now; the reason if there is nothing to be done.

        One at a time, in all processes: what was looked up earlier must not overwrite what was
        looked up later.
        """
        with self.turn(f"look-{repository}"):
            now = self.forges[repository].look()
            if not now.main:
                return "the repository has no main branch yet"
            Mains(self.forges, self.marks).saw(repository, now.main)
            rows = self.pulls.of(repository, OPEN)
            there = {_same(p): p for p in now.proposals}
            for row in rows:
                if row.number not in there and row.branch not in there:
                    self._end(row)
            self._merge(repository)
            known = {row.number: row for row in rows} | {row.branch: row for row in rows}
            for proposal in now.proposals:
                self._see(repository, proposal, now.main, known.get(_same(proposal)), pushed)
        return ""

    def _see(
        self,
        repository: str,
        proposal: Proposal,
        main: str,
        row: PullRequest | None,
        pushed: Pushed | None,
    ) -> None:
        if row is None or _is_news(row, proposal, main, pushed):
            row = self.pulls.seen(repository, proposal, main, pushed)
        if row.verdict == PENDING:
            self.judgements.begin(row)

    def _judge_again(self, repository: str, event: dict[str, Any]) -> str:
        if event.get("action") != "rerequested":
            return "only a request to run it again matters"
        # GitHub names no pull request for those of forks
        number, head = event.get("number"), event.get("head")
        rows = [r for r in self.pulls.of(repository, OPEN) if number in {None, r.number}]
        rows = [row for row in rows if row.head == head]
        for row in rows:
            self.judgements.begin(self.pulls.judge_again(row.id))
        return "" if rows else "no open pull request is named"

    def _end(self, row: PullRequest) -> None:
        """A pull request is not open any more; a merge takes over what is being built for it."""
        ending = self.forges[row.repository].ending(row.number, row.head)
        if ending is None:
            return
        if ending.merged:
            for pair in self.registries.with_workflows(row.repository):
                self.builds.adopt(scope_of(pair, row.number), row.head, self._merge_of(pair.name))
        self.pulls.ended(row.id, ending)
        self.builds.unwanted(f"{row.repository}:{row.number}")

    def _merge(self, repository: str) -> None:
        """What the sites should have depends on both repositories, so each pair is a merge."""
        for pair in self.registries.using(repository):
            flow = self._merge_of(pair.name)
            if self.marks.get(repository, f"merge:{pair.name}") == flow:
                continue
            commit = Mains(self.forges, self.marks).of(pair.workflows)
            if commit:
                self.engine.start(MERGE, {"registry": pair.name, "commit": commit}, id=flow)
                self.marks.put(repository, f"merge:{pair.name}", flow)

    def _merge_of(self, registry: str) -> str:
        pair, mains = self.registries.named(registry), Mains(self.forges, self.marks)
        heads = [mains.of(name)[:20] for name in (pair.workflows, pair.software)]
        return ":".join(["merge", registry, *heads])


def _without_news(kind: str, event: Mapping[str, Any]) -> str:
    """Why nothing that is looked at can have changed; empty if it may have."""
    action, ref = event.get("action"), str(event.get("ref", ""))
    if kind not in LOOKED_AT:
        return f"nothing is to be done for {kind!r}"
    if kind == "push" and not ref.startswith(BRANCHES):
        return f"{ref or 'no ref'}: only branches are looked at"
    if kind == "pull_request" and action in _IDLE_ACTIONS:
        return f"a pull request that is {action} proposes what it did"
    return ""


def _same(proposal: Proposal) -> int | str:
    """What stays the same of a pull request: its number, else its branch."""
    return proposal.number or proposal.branch


def _is_news(row: PullRequest, proposal: Proposal, main: str, pushed: Pushed | None) -> bool:
    if (row.base, row.head, row.trusted) != (main, proposal.head, proposal.trusted):
        return True
    if proposal.number:
        return (row.branch, row.draft) != (proposal.branch, proposal.draft) or (
            bool(proposal.title) and row.title != proposal.title
        )
    return pushed is not None and pushed.about(proposal)
