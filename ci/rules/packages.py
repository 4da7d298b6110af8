"""Rules on a package of the Software Catalogue: recipe, easyconfigs, invocations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ci.catalog import Package
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.package_recipe import MOVING, PackageRecipe, Version, class_name_of
from ci.rules.base import PackageRule

EXECUTION_TYPES = (
    "task",
    "workflow",
    "binary",
    "mpi",
    "mpmd_mpi",
    "multinode",
    "http",
    "compss",
)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.ASCII)


class UnusablePackageName(PackageRule):
    """A package's folder is called as Spack demands: lower case, digits, ``-``, ``_`` and ``.``."""

    id = "package/unusable-name"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Judge the name."""
        if not _NAME.fullmatch(subject.name):
            yield self.on(subject.path, f"{subject.name[:80]!r} cannot be a package's name")


class EmptyPackage(PackageRule):
    """A package has a recipe (``package.py``), an easyconfig (``*.eb``) or an invocation."""

    id = "package/empty"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look for one of them."""
        if not (subject.has_recipe or subject.easyconfig_files or subject.invocation_files):
            hint = "add package.py, an easyconfig or an invocation"
            yield self.on(subject.path, f"package {subject.name} says nothing", hint)


class InvalidRecipe(PackageRule):
    """``package.py`` is Python with a class; it is read and never run."""

    id = "package/invalid-recipe"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Try to read it."""
        if subject.has_recipe:
            yield from self.refused(lambda: subject.recipe)


class WrongClassName(PackageRule):
    """The class has the name that Spack looks for: ``py-dislib`` → ``PyDislib``, ``3proxy`` →
    ``_3proxy``.
    """

    id = "package/wrong-class"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Compare folder and class."""
        recipe = _recipe(subject)
        wanted = class_name_of(subject.name)
        if recipe and recipe.class_name != wanted:
            place = Located(None, recipe.path, recipe.line, recipe.column)
            message = f"the class of package {subject.name} is called {recipe.class_name}"
            yield self.at(place, message, f"class {wanted}(…)")


class NoVersion(PackageRule):
    """A recipe has a version at least."""

    id = "package/no-version"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look for one."""
        recipe = _recipe(subject)
        if recipe and not recipe.versions and not recipe.computed:
            place = Located(None, recipe.path, recipe.line, recipe.column)
            yield self.at(
                place, f"package {subject.name} has no version", 'version("1.0", sha256=…)'
            )


class UnpinnedVersion(PackageRule):
    """A version says what exactly is downloaded: a ``sha256`` of the archive, or a ``commit``.

    A ``branch`` or ``tag`` alone moves, and is a warning; no checksum at all is an error, since
    such a version cannot be installed.
    """

    id = "package/unpinned-version"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look at every version."""
        recipe = _recipe(subject)
        for version in recipe.versions if recipe and recipe.has_sources else ():
            if not version.pinned:
                moves = bool(version.keywords & MOVING)
                level = Severity.WARNING if moves else Severity.ERROR
                message = f"version {version.name} has no checksum and no commit"
                hint = "add commit=…" if moves else "add sha256=… (spack checksum prints it)"
                yield self.at(_place(subject, version), message, hint, level)


class InvalidChecksum(PackageRule):
    """A ``sha256`` is 64 hexadecimal digits in lower case."""

    id = "package/invalid-checksum"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look at every version."""
        recipe = _recipe(subject)
        for version in recipe.versions if recipe else ():
            if version.sha256 is not None and not _SHA256.fullmatch(version.sha256):
                message = f"the sha256 of version {version.name} is not 64 hexadecimal digits"
                yield self.at(_place(subject, version), message)


class InvalidEasyconfig(PackageRule):
    """An easyconfig is plain assignments: EasyBuild would run whatever else is in it."""

    id = "package/invalid-easyconfig"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Screen each."""
        for path in subject.easyconfig_files:
            yield from self.refused(partial(subject.easyconfig, path))


class InvalidInvocation(PackageRule):
    """An invocation is JSON: well-formed, no key twice."""

    id = "package/invalid-invocation"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Try to read each."""
        for path in subject.invocation_files:
            yield from self.refused(partial(_execution, subject, path))


class InvocationType(PackageRule):
    """An invocation has an ``execution.type`` that COMPSs knows.

    Without one COMPSs does not complain, but runs the Python body of the task instead.
    """

    id = "package/invocation-type"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Look at each."""
        for path in subject.invocation_files:
            try:
                document, kind = _execution(subject, path)
            except EntryError:
                continue  # another rule's finding
            if kind is None:
                hint = f'"execution": {{"type": …}}, one of {", ".join(EXECUTION_TYPES)}'
                yield self.at(document, "execution.type is missing", hint)
            elif kind.value not in EXECUTION_TYPES:
                hint = nearest(kind.text, EXECUTION_TYPES)
                yield self.at(kind, f"unknown execution.type {kind.text[:80]!r}", hint)


def _recipe(package: Package) -> PackageRecipe | None:
    try:
        return package.recipe if package.has_recipe else None
    except EntryError:
        return None  # another rule's finding


def _place(package: Package, version: Version) -> Located:
    return Located(None, f"{package.path}/package.py", version.line, version.column)


def _execution(package: Package, path: str) -> tuple[Located, Located | None]:
    document = package.invocation(path)
    execution = document.mapping("an invocation").get("execution", Located(None))
    return document, execution.mapping("execution").get("type")


RULES = (
    UnusablePackageName,
    EmptyPackage,
    InvalidRecipe,
    WrongClassName,
    NoVersion,
    UnpinnedVersion,
    InvalidChecksum,
    InvalidEasyconfig,
    InvalidInvocation,
    InvocationType,
)
