"""Rules on what a change of the Software Catalogue does to the workflows that use it."""

from __future__ import annotations

from collections.abc import Iterator

from ci.findings import Finding
from ci.rules.base import User, UserRule


class BreaksWorkflow(UserRule):
    """A change of the Software Catalogue leaves the workflows that use it as right as they were.

    Judged are the workflows of the registry's main that name a package that changed, or one that
    depends on it: what is wrong with them now and was not before would be this change's doing. Keep
    the version, variant or invocation that they use, or change the workflow first.
    """

    id = "package/breaks-workflow"

    def check(self, subject: User) -> Iterator[Finding]:
        """Say each thing that is wrong with the workflow only since the change."""
        for new in subject.new:
            hint = f"{new.hint}; change the workflow first, or keep what it uses"
            message = f"breaks workflow {subject.workflow.name} ({new.place}): {new.message}"
            yield self.on(subject.package_of(new), message, hint.removeprefix("; "), new.severity)


RULES = (BreaksWorkflow,)
