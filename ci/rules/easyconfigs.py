"""Rules on easyconfigs: EasyBuild's recipes, read and never run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located
from ci.rules.base import PackageRule
from ci.software.catalog import Package
from ci.software.easyconfig import Constant, Easyconfig

_REQUIRED = ("name", "version", "homepage", "description", "toolchain")
_DEPENDENCIES = ("dependencies", "builddependencies", "hiddendependencies")
_MORE_FILES = frozenset({"crates", "postinstallpatches", "data_sources"})  # with checksums too
_TEMPLATE = re.compile(r"%\([A-Za-z0-9_]{1,40}\)[a-z]")


class EasyconfigRule(PackageRule):
    """A rule on easyconfigs that could be read."""

    def check(self, subject: Package) -> Iterator[Finding]:
        """Judge each."""
        for path in subject.easyconfig_files:
            try:
                easyconfig = subject.easyconfig(path)
            except EntryError:
                continue  # another rule's finding
            yield from self.judge(easyconfig)

    def judge(self, easyconfig: Easyconfig) -> Iterator[Finding]:
        """Yield what is wrong with the easyconfig."""
        raise NotImplementedError


class InvalidEasyconfig(PackageRule):
    """An easyconfig is plain assignments: EasyBuild would run whatever else is in it.

    Values are texts, numbers, lists and the like, EasyBuild's own names (``SOURCE_TAR_GZ``,
    ``SYSTEM``) and templates (``%(version)s``), joined with ``+`` or ``%``.
    """

    id = "package/invalid-easyconfig"
    optional = False

    def check(self, subject: Package) -> Iterator[Finding]:
        """Screen each."""
        for path in subject.easyconfig_files:
            yield from self.refused(partial(subject.easyconfig, path))


class IncompleteEasyconfig(EasyconfigRule):
    """An easyconfig sets ``name``, ``version``, ``homepage``, ``description`` and ``toolchain``.

    EasyBuild does not begin without one of them.
    """

    id = "package/incomplete-easyconfig"

    def judge(self, easyconfig: Easyconfig) -> Iterator[Finding]:
        """Look for each."""
        given = easyconfig.parameters
        missing = [name for name in _REQUIRED if name not in given]
        if missing:
            message = f"the easyconfig does not set {', '.join(missing)}"
            yield self.on(easyconfig.path, message, f"add {missing[0]} = …")


class InvalidToolchain(EasyconfigRule):
    """A toolchain is ``SYSTEM`` or a mapping of its name and version.

    For example ``{'name': 'foss', 'version': '2023a'}``: the compilers and libraries that EasyBuild
    builds with.
    """

    id = "package/invalid-toolchain"

    def judge(self, easyconfig: Easyconfig) -> Iterator[Finding]:
        """Look at its form."""
        place = easyconfig.parameters.get("toolchain")
        if place is None or isinstance(place.value, Constant):
            return
        hint = "toolchain = {'name': 'foss', 'version': '2023a'}, or SYSTEM"
        if not isinstance(place.value, dict):
            yield self.at(place, "the toolchain is neither a mapping nor SYSTEM", hint)
            return
        for key in ("name", "version"):
            if key not in place.value:
                yield self.at(place, f"the toolchain has no {key}", hint)
            elif not isinstance(place.value[key], str):
                yield self.at(place, f"the toolchain's {key} must be text", hint)


class MisnamedEasyconfig(EasyconfigRule):
    """An easyconfig is called ``<name>-<version>-<toolchain><versionsuffix>.eb``.

    EasyBuild looks for dependencies by these names, so it does not find an easyconfig that is
    called otherwise. With the toolchain ``SYSTEM`` that part is left out.
    """

    id = "package/misnamed-easyconfig"
    severity = Severity.WARNING

    def judge(self, easyconfig: Easyconfig) -> Iterator[Finding]:
        """Compare, where name, version and toolchain are written out."""
        wanted = _file_name(easyconfig)
        actual = easyconfig.path.rsplit("/", 1)[-1]
        pattern = ".*".join(re.escape(part) for part in _TEMPLATE.split(wanted))
        if wanted and not re.fullmatch(pattern, actual):
            message = f"EasyBuild looks for this easyconfig as {wanted[:120]}"
            yield self.on(easyconfig.path, message, "rename the file")


class EasyconfigChecksums(EasyconfigRule):
    """An easyconfig has one checksum for each of its sources and patches, in that order.

    Without them EasyBuild builds from whatever it has downloaded. ``eb --inject-checksums`` writes
    them. Sources that are commits of git repositories have ``None`` in their place.
    """

    id = "package/easyconfig-checksums"
    severity = Severity.WARNING

    def judge(self, easyconfig: Easyconfig) -> Iterator[Finding]:
        """Count both."""
        items, parameters = easyconfig.items, easyconfig.parameters
        sources = items.get("sources", ())
        if not sources or _from_git(sources):
            return
        if "checksums" not in parameters:
            message = "the sources have no checksums"
            yield self.at(parameters["sources"], message, "eb --inject-checksums writes them")
            return
        known = "patches" in items or "patches" not in parameters
        known = known and not parameters.keys() & _MORE_FILES
        files = len(sources) + len(items.get("patches", ()))
        count = len(items.get("checksums", ()))
        if known and "checksums" in items and count != files:
            message = f"there are {count} checksums for {files} sources and patches"
            yield self.at(parameters["checksums"], message, "one for each, sources first")


class EasyconfigDependency(EasyconfigRule):
    """A dependency is a tuple of 2 to 4 texts: name, version, version suffix, toolchain.

    ``('HDF5', '1.14.0')``, ``('Python', '3.11.3', '', SYSTEM)``. A comma is easily lost:
    ``('zlib')`` is only a text in brackets.
    """

    id = "package/easyconfig-dependency"

    def judge(self, easyconfig: Easyconfig) -> Iterator[Finding]:
        """Look at each."""
        for kind in _DEPENDENCIES:
            for item in easyconfig.items.get(kind, ()):
                wrong = _wrong_dependency(item.value)
                if wrong:
                    yield self.at(item, wrong, "('name', 'version')")


def _wrong_dependency(value: object) -> str:
    """What is wrong with a dependency, or nothing; what is computed is not judged."""
    if isinstance(value, (Constant, dict, list)):
        return ""  # a name of EasyBuild; a form for some architectures; steps of an iteration
    if not isinstance(value, tuple):
        return "a dependency is a tuple of name and version"
    if not 2 <= len(value) <= 4:
        return f"a dependency has 2 to 4 parts, not {len(value)}"
    if not all(isinstance(part, (str, dict)) for part in value[:2]):
        return "a dependency's name and version are texts"
    return ""


def _from_git(sources: tuple[Located, ...]) -> bool:
    return any(isinstance(each.value, dict) and "git_config" in each.value for each in sources)


def _file_name(easyconfig: Easyconfig) -> str:
    """The name that EasyBuild looks for; empty if it cannot be told."""
    toolchain = easyconfig.parameters.get("toolchain")
    if not easyconfig.name or not easyconfig.version or toolchain is None:
        return ""
    parts = [easyconfig.name, easyconfig.text("versionprefix") + easyconfig.version]
    if isinstance(toolchain.value, dict):
        given = [toolchain.value.get(key) for key in ("name", "version")]
        if not all(isinstance(each, str) and not isinstance(each, Constant) for each in given):
            return ""
        parts += [] if given[0] in {"system", "dummy"} else [str(each) for each in given]
    elif toolchain.value != "SYSTEM":
        return ""
    suffix = easyconfig.text("versionsuffix")
    computed = "versionsuffix" in easyconfig.parameters and not suffix
    return "-".join(parts) + (suffix or ("%(any)s" if computed else "")) + ".eb"


RULES = (
    InvalidEasyconfig,
    IncompleteEasyconfig,
    InvalidToolchain,
    MisnamedEasyconfig,
    EasyconfigChecksums,
    EasyconfigDependency,
)
