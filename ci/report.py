"""Reports as text, JSON, Markdown, GitHub annotations and SARIF."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from ci.findings import Finding, Report, Severity
from ci.markdown import code, escaped, printable

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def summary(report: Report) -> str:
    """One line: ``2 errors, 1 warning``."""
    numbers = dict(report.summary)
    errors, warnings = numbers.get("errors", 0), numbers.get("warnings", 0)
    if not errors and not warnings:
        return "nothing to report"
    counted = ((errors, "error"), (warnings, "warning"))
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counted if n)


def render_text(report: Report, *, colour: bool = False) -> str:
    """For a terminal: ``path:line:column: error[rule] message``, a hint below, a last line."""
    lines = []
    for finding in report.findings:
        word = f"{finding.severity}[{finding.rule}]"
        if colour:
            word = f"\x1b[{_COLOURS[finding.severity]}m{word}\x1b[0m"
        place = f"{printable(finding.place)}: " if finding.place else ""
        lines.append(f"{place}{word} {printable(finding.message)}")
        if finding.hint:
            lines.append(f"    {printable(finding.hint)}")
    if report.affected:
        lines.append(f"affects workflows: {printable(', '.join(report.affected))}")
    return "\n".join([*lines, summary(report)]) + "\n"


def render_json(report: Report) -> str:
    """``{"findings": […], "summary": {…}}``."""
    return json.dumps(report.to_dict(), indent=2) + "\n"


def render_markdown(report: Report) -> str:
    """For a comment: a table. Nothing in it is a link, a mention or markup of a contributor."""
    affected = [code(name) for name in report.affected]
    last = ["", f"Affects workflows: {', '.join(affected)}"] if affected else []
    if not report.findings:
        return "\n".join([summary(report), *last]) + "\n"
    lines = [f"**{summary(report)}**", "", "| where | what | rule |", "|---|---|---|"]
    for finding in report.findings:
        hint = f"<br>{escaped(finding.hint)}" if finding.hint else ""
        what = f"{finding.severity}: {escaped(finding.message)}{hint}"
        lines.append(f"| {code(finding.place)} | {what} | {code(finding.rule)} |")
    return "\n".join([*lines, *last]) + "\n"


def render_github(report: Report) -> str:
    """Workflow commands, one annotation each (GitHub's "Workflow commands", ``::error``)."""
    lines = []
    for finding in report.findings:
        fields = {"file": finding.path, "line": finding.line or "", "col": finding.column or ""}
        fields["title"] = finding.rule
        named = ",".join(f"{k}={_property(str(v))}" for k, v in fields.items() if v)
        text = f"{finding.message} ({finding.hint})" if finding.hint else finding.message
        lines.append(f"::{finding.severity} {named}::{_data(text)}")
    return "".join(f"{line}\n" for line in lines)


def render_sarif(report: Report) -> str:
    """SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/)."""
    found = sorted({finding.rule for finding in report.findings})
    driver = {"name": "hpcwaas", "rules": [_sarif_rule(rule) for rule in found]}
    results = [_sarif_result(finding) for finding in report.findings]
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _sarif_rule(rule_id: str) -> dict[str, Any]:
    """What a viewer shows of a rule. Findings of the forge (``pull/…``) have none."""
    from ci.rules import all_rules  # late: the other shapes do without

    for rule in all_rules():
        if rule.id == rule_id:
            text = rule.documentation()
            return {
                "id": rule_id,
                "shortDescription": {"text": " ".join(text.split("\n\n")[0].split())},
                "help": {"text": text, "markdown": text},
                "defaultConfiguration": {"level": str(rule.severity)},
            }
    return {"id": rule_id}


def _sarif_result(finding: Finding) -> dict[str, Any]:
    text = f"{finding.message} ({finding.hint})" if finding.hint else finding.message
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": str(finding.severity),
        "message": {"text": text},
    }
    if finding.path:
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.path)}}
        if finding.line:
            place["region"] = {"startLine": finding.line, "startColumn": finding.column or 1}
        result["locations"] = [{"physicalLocation": place}]
    return result


RENDERERS: Mapping[str, Callable[[Report], str]] = {
    "text": render_text,
    "json": render_json,
    "markdown": render_markdown,
    "github": render_github,
    "sarif": render_sarif,
}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _uri(path: str) -> str:
    return quote(path)
