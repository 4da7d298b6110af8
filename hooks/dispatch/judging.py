"""Judging a pull request: validation, plan, and whether images may be built for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from ci.dependents import folders_of
from ci.errors import EntryError
from ci.findings import Finding, Report, Severity
from ci.git.merged_tree import merged
from ci.pull_request import validate_pull_request
from ci.trees import Tree
from hooks.db.tables import PullRequest
from hooks.dispatch.planning import NoImagesError, Planner
from hooks.dispatch.pulls import BUILDING, FAILED, PASSED, PullRequests
from hooks.registries import Registries, scope_of


class Permits(Protocol):
    """Who may have images built."""

    def approved(self, repository: str, number: int, head: str) -> Collection[str] | None:
        """The sites that a maintainer asked this very commit to be built for, empty for all; None
        if nobody did.
        """

    def may_build(self, repository: str, user: str) -> bool:
        """Whether what this user proposes is built without being asked for."""


@dataclass(frozen=True)
class Judge:
    """Judges pull requests as they are recorded.

    In ``hosted`` repositories the forge itself merges, and what comes of that is what is judged;
    ours only move forward.
    """

    planner: Planner
    registries: Registries
    pulls: PullRequests
    permits: Permits
    hosted: Collection[str] = ()

    def judge(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Validate and plan, and record both; ``{"builds": […]}`` are those that may begin.

        Raises ``SiteError`` or ``SettingsError`` where there is nothing to judge by: then there
        is no verdict.
        """
        repository, base, head = pull["repository"], pull["base"], pull["head"]
        rows: list[dict[str, Any]] = []
        found = Report.of([])
        try:
            found = self._report(repository, base, head)
            rows = self._plan(pull) if found.passed else []
        except EntryError as error:  # a tree that cannot be listed, or an impossible plan
            found = Report.of([Finding.of(error, "pull/refused")])
        except NoImagesError as error:  # not the contributor's fault: the verdict stands
            found = _with_finding(found, "pull/no-plan", Severity.WARNING, str(error))
        wanted = self._wanted(pull, rows) if found.passed else []
        held, wanted = self._held(self.pulls.get(pull["id"]), wanted)
        values = {
            "verdict": PASSED if found.passed else FAILED,
            "report": found.to_dict(),
            "plan": {"builds": rows, "held": held if found.passed else ""},
            "build_state": BUILDING if wanted else "",
        }
        judged = self.pulls.judged(pull["id"], (base, head), values)
        return {"builds": wanted if judged else []}

    def _report(self, repository: str, base: str, head: str) -> Report:
        forge = self.planner.forges[repository]
        store = forge.fetch(head, base)
        reports = []
        for pair in self.registries.using(repository):
            is_software = repository == pair.software
            other: Tree | None = self.planner.main_of(
                pair.workflows if is_software else pair.software
            )
            catalog, registry = (None, other) if is_software else (other, None)
            names = self.planner.sites.names()
            reports.append(
                validate_pull_request(
                    store, base, head, catalog=catalog, registry=registry, sites=names
                )
            )
        found = _together(reports)
        if repository in self.hosted or store.is_ancestor(base, head):
            return found
        return _with_behind_main(found)

    def _plan(self, pull: dict[str, Any]) -> list[dict[str, Any]]:
        base, head = pull["base"], pull["head"]
        store = self.planner.forges[pull["repository"]].fetch(head, base)
        rows = []
        for pair in self.registries.with_workflows(pull["repository"]):
            tree, changed = merged(store, base, head)
            scope = scope_of(pair, pull["number"])
            rows += self.planner.rows(pair, tree, scope, only=folders_of(changed))
        return rows

    def _wanted(self, pull: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        wanted = []
        for pair in self.registries.with_workflows(pull["repository"]):
            mine = [r for r in rows if self.registries.split(r["workflow"])[0] == pair]
            scope = scope_of(pair, pull["number"])
            wanted += self.planner.wanted(pair, mine, pull["head"], scope)
        return wanted

    def _held(
        self, row: PullRequest, wanted: list[dict[str, Any]]
    ) -> tuple[str, list[dict[str, Any]]]:
        """Why nothing is built, and what is."""
        if not wanted:
            return "", []
        asked = self.permits.approved(row.repository, row.number, row.head)
        if asked is not None:
            return "", [w for w in wanted if not asked or w["site"] in asked]
        if row.draft:
            return f"not built, because it is a draft: /build {row.head[:10]} builds it", []
        ask = f"a maintainer has this commit built with /build {row.head[:10]}"
        if not row.trusted:
            return f"not built, because it is from a fork or a first contribution: {ask}", []
        by = row.pusher or row.author
        if not self.permits.may_build(row.repository, by):
            who = f"{by} may not have images built" if by else "nobody is known to have pushed it"
            return f"not built, because {who}: {ask}", []
        return "", wanted


def _together(reports: list[Report]) -> Report:
    """One report of what several registries say of the same change."""
    if len(reports) == 1:
        return reports[0]
    counts: dict[str, int] = {}
    for name, number in ((n, c) for report in reports for n, c in report.summary.items()):
        counts[name] = max(number, counts.get(name, 0))
    counts = {name: n for name, n in counts.items() if name not in {"errors", "warnings"}}
    findings = [finding for report in reports for finding in report.findings]
    affected = {name for report in reports for name in report.affected}
    return Report.of(findings, affected=affected, **counts)


def _with_behind_main(found: Report) -> Report:
    message = "this branch does not contain the newest commit of main"
    hint = "git fetch && git rebase origin/main, then push again"
    return _with_finding(found, "pull/behind-main", Severity.ERROR, message, hint)


def _with_finding(
    found: Report, rule: str, severity: Severity, message: str, hint: str = ""
) -> Report:
    extra = Finding(rule, severity, "", 0, 0, message, hint)
    return Report.of([*found.findings, extra])
