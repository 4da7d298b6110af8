"""Rules on files of the Software Catalogue that are no package's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ci.documents import YAML_SUFFIXES, load
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.rules.base import ContentRule, SourceFile
from ci.software.catalog import PACKAGES, is_catalog

REPOSITORY = "repo.yaml"
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_API = re.compile(r"v[0-9]{1,4}\.[0-9]{1,4}", re.ASCII)
_KEYS = ("namespace", "subdirectory", "api")
# Files of a Spack configuration; each holds one section of its own name.
_SECTIONS = frozenset(
    [
        *("bootstrap", "cdash", "ci", "compilers", "concretizer", "config", "definitions"),
        *("develop", "env_vars", "mirrors", "modules", "packages", "repos", "toolchains"),
        *("upstreams", "view"),
    ]
)


class InvalidRepository(ContentRule):
    """``repo.yaml`` makes the catalogue a repository of Spack, and gives it a namespace.

    The namespace is a name as Python has them (``hpcwaas``, ``eflows4hpc``), since Spack imports
    recipes as ``spack.pkg.<namespace>.<package>``. The packages are in ``packages/``::

        repo:
          namespace: hpcwaas
    """

    id = "catalog/invalid-repo"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Read it."""
        if subject.path != REPOSITORY or not is_catalog(self.context.registry.tree):
            return
        try:
            yield from self.judge(load(subject.data, subject.path))
        except EntryError as error:
            yield Finding.of(error, self.id, self.severity)

    def judge(self, document: Located) -> Iterator[Finding]:
        """What is wrong with the keys and their values. May raise ``EntryError``."""
        repository = document.mapping(REPOSITORY).get("repo")
        if repository is None:
            yield self.at(document, f"{REPOSITORY} has no `repo`", "repo: {namespace: …}")
            return
        items = repository.mapping("repo")
        for key in items:
            if key not in _KEYS:
                message = f"Spack does not know the key {key[:80]!r}"
                level = Severity.WARNING
                yield self.at(repository.key(key), message, nearest(key, _KEYS), level)
        if "namespace" not in items:
            yield self.at(repository, "the repository has no namespace", "namespace: …")
        else:
            yield from self.namespace(items["namespace"])
        folder, api = items.get("subdirectory"), items.get("api")
        if folder is not None and folder.value != "packages":
            yield self.at(folder, "packages are only looked for in `packages`", "leave it out")
        if api is not None and not _API.fullmatch(api.string("api")):
            yield self.at(api, f"{api.text[:40]!r} is no version of Spack's package API", "v1.0")

    def namespace(self, place: Located) -> Iterator[Finding]:
        """A name of Python; Spack before 1.0 takes ``-`` in it as well."""
        name = place.string("a namespace")
        if not _NAMESPACE.fullmatch(name):
            better = re.sub(r"[^A-Za-z0-9_.]+", "_", name[:80])
            level = Severity.WARNING if _NAMESPACE.fullmatch(better) else Severity.ERROR
            level = level if better == name[:80].replace("-", "_") else Severity.ERROR
            message = f"{name[:80]!r} cannot be a namespace"
            yield self.at(place, message, f"letters, digits and _, such as {better!r}", level)


class UnreadableConfiguration(ContentRule):
    """Files in ``cfg/`` are a configuration of Spack: YAML, each with the section of its name.

    ``cfg/packages.yaml`` holds ``packages:`` and nothing else. Images are built without them; they
    are for trying packages with a Spack of one's own (``spack -C cfg``).
    """

    id = "catalog/unreadable-configuration"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Read it, and compare file and section."""
        folder, _, name = subject.path.partition("/")
        if folder != "cfg" or "/" in name or not name.endswith(YAML_SUFFIXES):
            return
        if not is_catalog(self.context.registry.tree):
            return
        try:
            document = load(subject.data, subject.path)
            sections = document.mapping("a configuration")
        except EntryError as error:
            yield Finding.of(error, self.id, self.severity)
            return
        wanted = name.rsplit(".", 1)[0]
        for section in sections if wanted in _SECTIONS else ():
            if section.rstrip(":") != wanted:  # ``packages::`` replaces what Spack has
                message = f"Spack looks for the section {wanted!r} here, not {section[:80]!r}"
                hint = f"move it to cfg/{section}.yaml" if section in _SECTIONS else f"{wanted}:"
                yield self.at(document.key(section), message, hint)


class StrayCode(ContentRule):
    """Recipes are ``packages/<name>/package.py``, easyconfigs ``packages/<name>/*.eb``.

    Spack and EasyBuild find, and run, code elsewhere in a catalogue too, where nobody judges it.
    Put patches and the like beside the recipe; what acts belongs into its methods.
    """

    id = "catalog/stray-code"
    optional = False

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at the place of each."""
        *folders, name = subject.path.split("/")
        is_package = len(folders) == 2 and folders[0] == PACKAGES
        is_recipe = name.endswith(".py") and folders[:1] == [PACKAGES]
        stray = (is_recipe and not (is_package and name == "package.py")) or (
            name.endswith(".eb") and not is_package
        )
        if stray and is_catalog(self.context.registry.tree):
            hint = "packages/<name>/package.py, packages/<name>/<name>-<version>.eb"
            yield self.on(subject.path, "is code at a place where it is not judged", hint)


RULES = (InvalidRepository, UnreadableConfiguration, StrayCode)
