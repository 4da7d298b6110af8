"""Our one comment on a pull request, as a page of Markdown shows it."""

from __future__ import annotations

from ci.markdown import code, escaped
from ci.report import render_markdown
from hooks.commands.parse import COMMANDS, usage
from hooks.dispatch.comment import Told, state_of, what_next


def markdown(told: Told) -> str:
    """The comment. What strangers wrote in it is neither markup nor a mention."""
    mark = "⏳" if told.pending else "✅" if told.found.passed else "❌"
    lines = [f"### {mark} {code(told.head[:10])} {told.verdict}", ""]
    if told.found.findings or told.found.affected:
        lines += [render_markdown(told.found).rstrip(), ""]
    if told.found.passed and not told.pending:
        lines += [*_plan(told), ""]
    lines += [escaped(what_next(told)) + ".", ""]
    if told.deployed:
        lines += ["| workflow | site | |", "|---|---|---|"]
        lines += [
            f"| {code(d.workflow)} | {code(d.site)} | {escaped(str(d))} |" for d in told.deployed
        ]
        lines.append("")
    if told.answers:
        lines += ["| asked by | what | answer |", "|---|---|---|"]
        lines += [
            f"| {escaped(a.by)} | {code(a.text)} | {escaped(a.answer)} |" for a in told.answers
        ]
        lines.append("")
    foot = "Commands: " + " ".join(f"`{usage(name)}`" for name in COMMANDS)
    if told.link:
        foot += f" · [all about this pull request]({told.link})"
    return "\n".join([*lines, f"<sub>{foot}</sub>"])


def _plan(told: Told) -> list[str]:
    if not told.plan:
        return ["Nothing to build or deploy."]
    lines = ["| image of | for site | target | |", "|---|---|---|---|"]
    for row, build in told.rows():
        name = code(f"{row['owner']}/{row['step']}")
        target = code(row["target"]["microarchitecture"])
        lines.append(
            f"| {name} | {code(row['site'])} | {target} | {escaped(state_of(row, build))} |"
        )
    if told.held:
        lines += ["", f"⏸ {escaped(told.held)}"]
    places = [f"{code(workflow)} on {code(site)}" for workflow, site in told.places()]
    return [*lines, "", f"A merge deploys {', '.join(places)}."] if places else lines
