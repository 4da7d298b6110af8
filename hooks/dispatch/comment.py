"""Our one comment on a pull request: verdict, findings, plan, builds, answers. Pure text, read in a
terminal by whoever pushed; ``comment_markdown`` has the same for a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.findings import Report
from ci.report import render_text
from hooks.builds.harmless import harmless


@dataclass(frozen=True, slots=True)
class Answered:
    """A command that somebody gave, and what came of it."""

    by: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """How far a merged commit is at a site."""

    workflow: str
    site: str
    state: str
    message: str = ""

    def __str__(self) -> str:
        what = {"ACTIVE": "is in place", "DEPLOYING": "is being deployed", "REMOVED": "is removed"}
        said = what.get(self.state, self.state.lower())
        return f"{said}: {harmless(self.message)}" if self.message else said


@dataclass(frozen=True, slots=True)
class Told:
    """All that the comment says.

    ``plan`` has the rows of ``needs.planned``, ``builds`` those that were asked for, as far as they
    are; ``held`` is why none are asked for; ``how`` is how to merge, ``link`` our page.
    """

    number: int
    head: str
    found: Report
    plan: Sequence[Mapping[str, Any]] = ()
    builds: Sequence[Mapping[str, Any]] = ()
    held: str = ""
    how: str = ""
    link: str = ""
    deployed: Sequence[Deployed] = ()
    answers: Sequence[Answered] = ()
    pending: bool = False  # nothing is known of this commit yet

    @property
    def verdict(self) -> str:
        """What is known, in words."""
        if self.pending:
            return "is being validated"
        return "passed" if self.found.passed else "did not pass"

    def rows(self) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
        """Each row of the plan, and its build if there is one."""
        done = {(b["workflow"], b["step"], b["site"]): b for b in self.builds}
        for row in self.plan:
            yield row, done.get((row["workflow"], row["step"], row["site"]))

    def places(self) -> list[tuple[str, str]]:
        """Each workflow and site that a merge would deploy."""
        return sorted({(row["workflow"], row["site"]) for row in self.plan})


def text(told: Told) -> str:
    """The comment for a terminal."""
    lines = [f"pull request #{told.number}: {told.head[:10]} {told.verdict}", ""]
    if told.found.findings or told.found.affected:
        lines += [render_text(told.found).rstrip(), ""]
    if told.found.passed and not told.pending:
        lines += [*_plan_lines(told), ""]
    lines += [f"{d.workflow} {d} on {d.site}" for d in told.deployed]
    lines += [f"{a.by}: {harmless(a.text)}\n  {harmless(a.answer)}" for a in told.answers]
    lines.append(what_next(told))
    return "\n".join(lines)


def _plan_lines(told: Told) -> list[str]:
    if not told.plan:
        return ["plan: nothing to build or deploy"]
    lines = ["plan:"]
    for row, build in told.rows():
        target = row["target"]["microarchitecture"]
        name = f"{row['owner']}/{row['step']}"
        lines.append(f"  image  {name} for {row['site']} ({target}): {state_of(row, build)}")
    if told.held:
        lines.append(f"  {told.held}")
    lines += [f"  deploy {workflow} to {site}, after the merge" for workflow, site in told.places()]
    return lines


def state_of(row: Mapping[str, Any], build: Mapping[str, Any] | None) -> str:
    """How far the image of a plan's row is."""
    if build is None:
        return f"{row['action']}, {row['why']}"
    if build.get("error"):
        return _failed(build)
    if "digest" not in build:  # asked for, and not waited for yet
        if build["reused"]:
            return f"{row['action']}, {row['why']}"
        return f"building, follow it with: waas builds logs -f {build['build']}"
    return f"{'from the store' if build['reused'] else 'built'}, {build['digest'][:19]}…"


def _failed(build: Mapping[str, Any]) -> str:
    if build.get("state") == "CANCELLED":
        return harmless(build["error"])
    log = f"; its log: waas builds logs {build['build']}" if build["build"] else ""
    return f"FAILED: {harmless(build['error'])}{log}"


def what_next(told: Told) -> str:
    """What the author may do now."""
    if told.deployed:
        return "merged"
    if told.pending:
        return "the verdict follows"
    if not told.found.passed:
        return "correct this and push the branch again"
    if any(build.get("error") and build.get("state") != "CANCELLED" for build in told.builds):
        return "an image could not be built: correct its software environment and push again"
    return f"#{told.number} can be merged{f': {told.how}' if told.how else ''}"
