"""Rules on a package of the Software Catalogue as a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.rules.base import PackageRule
from ci.software.catalog import Package

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.ASCII)


class UnusablePackageName(PackageRule):
    """A package's folder is called as Spack demands: lower case, digits, ``-``, ``_`` and ``.``.

    Spack would not find the package under any other name. Packages of Python begin with ``py-``,
    those of R with ``r-``, as in Spack itself.
    """

    id = "package/unusable-name"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Judge the name."""
        if not _NAME.fullmatch(subject.name):
            hint = f"rename the folder, for example {_usable(subject.name)!r}"
            yield self.on(subject.path, f"{subject.name[:80]!r} cannot be a package's name", hint)


class EmptyPackage(PackageRule):
    """A package has a recipe (``package.py``), an easyconfig (``*.eb``) or an invocation.

    A folder without any of them can neither be built nor be called. Files in folders below do not
    count: patches, for example.
    """

    id = "package/empty"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look for one of them."""
        if not (subject.has_recipe or subject.easyconfig_files or subject.invocation_files):
            hint = "add package.py, an easyconfig or an invocation"
            yield self.on(subject.path, f"package {subject.name} says nothing", hint)


class NoInvocation(PackageRule):
    """A package that can be built says how PyCOMPSs invokes it: it has an invocation.

    Workflows call the software through ``@software(config_file=…)`` with a JSON file that lies
    beside the recipe. A library that only other packages need does not have to have one, which is
    why this is a warning. The least that says something::

        {"execution": {"type": "task"}, "parameters": {"returns": 1}}
    """

    id = "package/no-invocation"
    severity = Severity.WARNING

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look for one."""
        builds = subject.has_recipe or subject.easyconfig_files
        if builds and not subject.invocation_files:
            message = f"package {subject.name} has no invocation"
            yield self.on(subject.path, message, f"add {subject.path}/{subject.name}.json")


def _usable(name: str) -> str:
    better = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-._")
    return better[:80] or "my-package"


RULES = (UnusablePackageName, EmptyPackage, NoInvocation)
