"""From an event to tasks: what a push means, given what the forge says now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from hooks.config import WORKFLOWS
from hooks.dispatch.flows import MERGE, PULL_REQUEST
from hooks.dispatch.pulls import OPEN, PENDING, PullRequests
from hooks.forges.seams import Forge, Status

BRANCHES = "refs/heads/"


class Starter(Protocol):
    """The part of the engine that this needs."""

    def start(self, flow: str, payload: dict[str, Any], *, id: str) -> None:  # noqa: A002
        """Enqueue a flow; the same id is only ever run once."""


class Wanted(Protocol):
    """The part of the builds that this needs."""

    def unwanted(self, pull: str, *, before: int | None = None) -> None:
        """A pull request wants its builds no longer, or those of revisions before this one."""

    def adopt(self, scope: str, commit: str, flow: str) -> None:
        """A merge's flow wants what goes on for the pull request of the commit that is merged."""


class Dispatcher:
    """Brings pull requests and main in line with what the forges say."""

    def __init__(
        self, forges: Mapping[str, Forge], pulls: PullRequests, engine: Starter, builds: Wanted
    ) -> None:
        self._forges, self._pulls, self._engine, self._builds = forges, pulls, engine, builds

    def handle(self, repository: str, event: dict[str, Any]) -> str:
        """Look at the ref that an event names; the reason if there is nothing to do."""
        if repository not in self._forges:
            return f"no repository {repository!r} here"
        ref = str(event.get("ref", ""))
        if not ref.startswith(BRANCHES):
            return f"{ref or 'no ref'}: only branches are looked at"
        branch = ref.removeprefix(BRANCHES)
        heads = self._forges[repository].heads()
        if "main" not in heads:
            return "the repository has no main branch yet"
        if branch == "main":
            self._main(repository, heads)
        elif branch in heads:
            self._branch(repository, branch, heads, str(event.get("pusher", "")))
        else:
            self._ended(repository, self._pulls.closed(repository, branch))
        return ""

    def reconcile(self) -> None:
        """Look at every ref of every forge, as if each had just been pushed."""
        for repository, forge in self._forges.items():
            heads = forge.heads()
            for pull in self._pulls.of(repository, OPEN):
                if pull.branch not in heads:
                    self._ended(repository, self._pulls.closed(repository, pull.branch))
            for branch in heads:
                self.handle(repository, {"ref": f"{BRANCHES}{branch}"})

    def _ended(self, repository: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._builds.unwanted(f"{repository}:{number}")

    def _main(self, repository: str, heads: Mapping[str, str]) -> None:
        # what the sites should have depends on both repositories, so each pair is a merge
        mains = {name: forge.heads().get("main", "") for name, forge in self._forges.items()}
        flow = "merge:" + ":".join(mains[name][:20] for name in sorted(mains))
        ended = self._pulls.merged(repository, heads["main"])
        if repository == WORKFLOWS:
            for number in ended:
                self._builds.adopt(f"pull-{number}", heads["main"], flow)
        self._ended(repository, ended)
        self._engine.start(MERGE, {"commit": mains[WORKFLOWS]}, id=flow)
        for pull in self._pulls.of(repository, OPEN):  # judged against an older main
            if pull.branch in heads:
                self._branch(repository, pull.branch, heads, pull.author)

    def _branch(self, repository: str, branch: str, heads: Mapping[str, str], pusher: str) -> None:
        base, head = heads["main"], heads[branch]
        if base == head and not any(p.branch == branch for p in self._pulls.of(repository, OPEN)):
            return  # a merged branch that still lies about
        pull = self._pulls.seen(repository, branch, base, head, pusher)
        forge = self._forges[repository]
        if pull.verdict == PENDING:
            forge.set_status(Status(head, base, PENDING, "being validated", pull.number))
        payload = {
            "repository": repository,
            "id": pull.id,
            "number": pull.number,
            "base": base,
            "head": head,
        }
        self._builds.unwanted(f"{repository}:{pull.number}", before=pull.revision)
        name = f"pull:{repository}:{pull.number}:{pull.revision}"
        self._engine.start(PULL_REQUEST, payload, id=name)
