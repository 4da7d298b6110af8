"""The one comment on a pull request: verdict, findings, plan, builds. Pure text, read in a
terminal by whoever pushed and as Markdown on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ci.findings import Report
from ci.report import render_text
from hooks.builds.harmless import harmless


def text(
    number: int,
    head: str,
    found: Report,
    plan: Sequence[dict[str, Any]],
    builds: Sequence[dict[str, Any]] = (),
) -> str:
    """The comment's text."""
    verdict = "passed" if found.passed else "did not pass"
    lines = [f"pull request #{number}: {head[:10]} {verdict}", ""]
    if found.findings or found.affected:
        lines += [render_text(found).rstrip(), ""]
    if found.passed:
        lines += [*_plan_lines(plan, builds), ""]
    lines.append(_next(number, found, builds))
    return "\n".join(lines)


def _plan_lines(plan: Sequence[dict[str, Any]], builds: Sequence[dict[str, Any]]) -> list[str]:
    if not plan:
        return ["plan: nothing to build or deploy"]
    done = {(b["workflow"], b["step"], b["site"]): b for b in builds}
    lines = ["plan:"]
    for row in plan:
        target = row["target"]["microarchitecture"]
        name = f"{row['owner']}/{row['step']}"
        result = done.get((row["workflow"], row["step"], row["site"]))
        lines.append(f"  image  {name} for {row['site']} ({target}): {_done(row, result)}")
    places = sorted({(row["workflow"], row["site"]) for row in plan})
    lines += [f"  deploy {workflow} to {site}, after the merge" for workflow, site in places]
    return lines


def _done(row: dict[str, Any], result: dict[str, Any] | None) -> str:
    if result is None:
        return f"{row['action']}, {row['why']}"
    if result.get("error"):
        return _failed(result)
    if "digest" not in result:  # asked for, and not waited for yet
        if result["reused"]:
            return f"{row['action']}, {row['why']}"
        return f"building, follow it with: waas builds logs -f {result['build']}"
    return f"{'from the store' if result['reused'] else 'built'}, {result['digest'][:19]}…"


def _failed(result: dict[str, Any]) -> str:
    if result.get("state") == "CANCELLED":
        return harmless(result["error"])
    log = f"; its log: waas builds logs {result['build']}" if result["build"] else ""
    return f"FAILED: {harmless(result['error'])}{log}"


def _next(number: int, found: Report, builds: Sequence[dict[str, Any]]) -> str:
    if not found.passed:
        return "correct this and push the branch again"
    if any(build.get("error") and build.get("state") != "CANCELLED" for build in builds):
        return "an image could not be built: correct its software environment and push again"
    return f"#{number} can be merged: git push origin HEAD:main"
