"""Findings: what rules report, one violation each, and the report of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from ci.errors import EntryError


class Severity(StrEnum):
    """An error stops a merge; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation. Lines and columns count from 1; 0 means the whole file (or folder)."""

    rule: str
    severity: Severity
    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    @property
    def place(self) -> str:
        """``path:line:column`` as far as it is known."""
        known = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.path, *known]) if self.path else ""

    @classmethod
    def of(cls, error: EntryError, rule: str, severity: Severity = Severity.ERROR) -> Finding:
        """The finding that says what an error says."""
        return cls(rule, severity, error.path, error.line, error.column, error.message, error.hint)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one validation, in the order of files, and counts (``errors``, …).

    ``affected`` names the workflows that use what changed in the Software Catalogue.
    """

    findings: tuple[Finding, ...]
    summary: Mapping[str, int] = field(default_factory=dict)
    affected: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, findings: Iterable[Finding], *, affected: Iterable[str] = (), **counts: int
    ) -> Report:
        """Sort the findings, drop repeated ones, count them."""
        kept = sorted(set(findings), key=_order)
        errors = sum(finding.severity is Severity.ERROR for finding in kept)
        numbers = {"errors": errors, "warnings": len(kept) - errors, **counts}
        return cls(tuple(kept), numbers, tuple(sorted(affected)))

    @property
    def passed(self) -> bool:
        """Whether there is no error (warnings are allowed)."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def below(self, folder: str) -> Report:
        """The same with paths that begin at the repository, in which ``folder`` was judged."""
        found = (replace(f, path=f"{folder}/{f.path}".rstrip("/")) for f in self.findings)
        return replace(self, findings=tuple(found)) if folder else self

    def to_dict(self) -> dict[str, Any]:
        """``{"findings": […], "summary": {…}, "affected": […]}``: plain JSON values."""
        findings = [asdict(f) | {"severity": f.severity.value} for f in self.findings]
        return {
            "findings": findings,
            "summary": dict(self.summary),
            "affected": list(self.affected),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """What ``to_dict`` gave."""
        found = (Finding(**{**f, "severity": Severity(f["severity"])}) for f in data["findings"])
        return cls(tuple(found), dict(data["summary"]), tuple(data.get("affected", ())))


def _order(finding: Finding) -> tuple[str, int, int, str, str]:
    return (finding.path, finding.line, finding.column, finding.rule, finding.message)
