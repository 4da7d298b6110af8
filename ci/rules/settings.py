"""Rules on the settings of the registry itself."""

from __future__ import annotations

from collections.abc import Iterator

from ci.findings import Finding
from ci.policy import FILE_NAME as POLICY
from ci.policy import read_policy
from ci.rules.base import ContentRule, SourceFile
from ci.validation_settings import FILE_NAME, read_validation_settings


class InvalidValidationSettings(ContentRule):
    """``validation.yaml`` names rules that exist and may be switched off, and says why each is off.

    The file on main counts. A pull request that changes it is still judged by the old one, so
    nobody can switch a rule off for themselves; what it says holds for those that come after.
    """

    id = "registry/invalid-validation-settings"
    optional = False

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Try to read it."""
        if subject.path == FILE_NAME:
            rules = self.context.rules
            yield from self.refused(
                lambda: read_validation_settings(subject.data, subject.path, rules)
            )


class InvalidPolicy(ContentRule):
    """``policy.yaml`` says who may build and deploy, in the keys that its documentation lists.

    The file on main counts, so nobody can give rights to themselves in a pull request. One on main
    that cannot be read would give nobody a right.
    """

    id = "registry/invalid-policy"
    optional = False

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Try to read it."""
        if subject.path == POLICY:
            yield from self.refused(lambda: read_policy(subject.data, subject.path))


RULES = (InvalidValidationSettings, InvalidPolicy)
