"""Statuses at commits: check runs with annotations for an App, plain statuses for a token.

Annotations can be added to a check run and never be removed, 50 at a time; so ``external_id`` has
a digest of all that is to be shown, and how many are there tells how far a killed process came.
A run that shows something else is followed by a new one: the newest of a name counts.
https://docs.github.com/en/rest/checks/runs, …/rest/commits/statuses
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ci.findings import Finding, Severity
from ci.markdown import code, printable
from hooks.forges.github.connection import Connection
from hooks.forges.github.markdown import LONGEST, cut, defused, line, prose
from hooks.forges.seams import Status

BATCH = 50
MOST = 300  # annotations; there are more in the comment and on our page
_TITLE = 200  # characters; GitHub takes 255
_DESCRIPTION = 140  # characters
_MESSAGE = 4_000  # bytes; GitHub takes 64 KB
_CONCLUSIONS = {"PASSED": "success", "FAILED": "failure", "CANCELLED": "cancelled"}
_STATES = {"PASSED": "success", "FAILED": "failure", "CANCELLED": "error", "PENDING": "pending"}
_LEVELS = {Severity.ERROR: "failure", Severity.WARNING: "warning"}
_PAGES = 3


class _Run(NamedTuple):
    """A check run that is there. ``shown`` counts its annotations."""

    id: int
    mark: str
    completed: bool
    shown: int


class CheckRuns:
    """Check runs of a repository."""

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._repository = connection, f"/repos/{slug}"

    def show(self, status: Status) -> None:
        """Have the newest check run of this name show exactly this; unchanged, it is only read."""
        given = _given(status)
        notes = [_annotation(f) for f in status.findings if f.path][:MOST]
        mark = f"waas:{status.pull}:{_digest([given, notes])}"
        run = self._newest(status, given["name"])
        conclusion = _CONCLUSIONS.get(status.state, "")
        if run is not None and run.mark == mark:
            if run.completed or (not conclusion and run.shown >= len(notes)):
                return
        elif run is not None and (run.completed or run.shown):
            run = None
        shown = run.shown if run is not None else 0
        path = f"{self._repository}/check-runs"
        while True:
            batch, shown = notes[shown : shown + BATCH], min(shown + BATCH, len(notes))
            whole = shown == len(notes)
            sent = _sent(given, batch, mark, conclusion if whole else "")
            if run is None:
                made = self._connection.send("POST", path, {**sent, "head_sha": status.head})
                run = _run(made)
            else:
                self._connection.send("PATCH", f"{path}/{run.id}", sent)
            if whole:
                return

    def _newest(self, status: Status, name: str) -> _Run | None:
        """The newest run of this name that we made for this pull request."""
        pages = self._connection.pages(
            f"{self._repository}/commits/{status.head}/check-runs",
            _runs,
            most=_PAGES,
            check_name=name,
            filter="all",
            app_id=self._connection.settings.app,
        )
        ours = [r for page in pages for r in page if r.mark.startswith(f"waas:{status.pull}:")]
        return max(ours, default=None)


class CommitStatuses:
    """Plain statuses of a repository's commits; each change of one is kept by GitHub for good."""

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._repository = connection, f"/repos/{slug}"

    def show(self, status: Status) -> None:
        """Have the newest status of this name show exactly this; unchanged, it is only read."""
        wanted = {
            "context": name_of(status),
            "state": _STATES[status.state],
            "description": line(status.summary, _DESCRIPTION),
        } | ({"target_url": status.link} if status.link else {})
        if self._newest(status.head, wanted["context"]) != wanted:
            self._connection.send("POST", f"{self._repository}/statuses/{status.head}", wanted)

    def _newest(self, commit: str, context: str) -> dict[str, str]:
        """The newest of a name; GitHub lists the newest first."""
        path = f"{self._repository}/commits/{commit}/statuses"
        for page in self._connection.pages(path, _statuses, most=_PAGES):
            for shown in page:
                if shown["context"] == context:
                    return shown
        return {}


def name_of(status: Status) -> str:
    """What a status is called on GitHub."""
    return f"waas / {status.name}"


def _given(status: Status) -> dict[str, Any]:
    """What a check run says, but its annotations."""
    about = f"{prose(status.summary)}\n\nJudged on top of main at {code(status.base[:10])}."
    more = len([f for f in status.findings if f.path]) - MOST
    if more > 0:
        about += f"\n\n{more} more findings are not shown in the files."
    output = {"title": line(status.summary, _TITLE) or "…", "summary": about}
    if status.text:
        output["text"] = cut(defused(status.text), LONGEST)
    link = {"details_url": status.link} if status.link else {}
    state = "completed" if status.state in _CONCLUSIONS else "in_progress"
    return {"name": name_of(status), **link, "output": output, "state": state}


def _sent(
    given: dict[str, Any], batch: Sequence[Any], mark: str, conclusion: str
) -> dict[str, Any]:
    """The body of a request; a conclusion ends the run."""
    body = {key: value for key, value in given.items() if key != "state"}
    body["external_id"] = mark
    if batch:
        body["output"] = {**given["output"], "annotations": list(batch)}
    if conclusion:
        return body | {"status": "completed", "conclusion": conclusion}
    return body | {"status": "in_progress"}


def _annotation(finding: Finding) -> dict[str, Any]:
    """Plain text, shown at a line; the first for what concerns a whole file."""
    told = f"{finding.message}\n{finding.hint}" if finding.hint else finding.message
    message = "\n".join(printable(part) for part in told.split("\n"))
    place = {"start_line": finding.line or 1, "end_line": finding.line or 1}
    if finding.line and finding.column:
        place |= {"start_column": finding.column, "end_column": finding.column}
    return {
        "path": printable(finding.path),
        **place,
        "annotation_level": _LEVELS[finding.severity],
        "title": line(finding.rule, _TITLE),
        "message": cut(message, _MESSAGE) or "…",
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _runs(answer: Any) -> list[_Run]:
    return [_run(run) for run in answer["check_runs"]]


def _run(run: Any) -> _Run:
    shown = int(run["output"]["annotations_count"] or 0)
    return _Run(int(run["id"]), str(run["external_id"] or ""), run["status"] == "completed", shown)


def _statuses(answer: Any) -> list[dict[str, str]]:
    names = ("context", "state", "description", "target_url")
    return [{n: str(status[n]) for n in names if status[n]} for status in answer]
