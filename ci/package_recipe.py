"""Spack's ``package.py``, read with ``ast`` alone (https://spack.readthedocs.io, Packaging Guide).

Nothing of it is executed, so a version made in a loop is not seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ci.errors import EntryError
from ci.python_source import called_name, literal, parse_python

CHECKSUMS = frozenset({"sha256", "sha384", "sha512", "commit"})
MOVING = frozenset({"branch", "tag"})


@dataclass(frozen=True, slots=True)
class Version:
    """A ``version(…)`` directive: its name, the keywords it has, and where it stands."""

    name: str
    keywords: frozenset[str]
    line: int
    column: int
    sha256: str | None = None  # None: not given, or computed

    @property
    def pinned(self) -> bool:
        """Whether a checksum or a commit fixes what is downloaded."""
        return bool(self.keywords & CHECKSUMS)


@dataclass(frozen=True, slots=True)
class PackageRecipe:
    """The class of a recipe. ``bases`` are plain names; ``computed`` versions are not listed."""

    path: str
    class_name: str
    bases: tuple[str, ...]
    line: int
    column: int
    versions: tuple[Version, ...] = ()
    computed: bool = False

    @property
    def has_sources(self) -> bool:
        """Whether something is downloaded for it: a bundle only names other packages."""
        return "BundlePackage" not in self.bases


def class_name_of(package: str) -> str:
    """The class that Spack looks for in ``packages/<package>/package.py``.

    Words between ``-`` or ``_`` are capitalised and joined; a first digit gets a ``_`` before it.
    """
    words = [word for word in re.split(r"[-_]+", package) if word]
    name = "".join(word.capitalize() for word in words)
    return f"_{name}" if name[:1].isdigit() else name


def read_package_recipe(data: bytes, path: str) -> PackageRecipe:
    """Read a recipe: the last class of the file that has a base. Raises ``EntryError``."""
    module = parse_python(data, path)
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.bases]
    if not classes:
        raise EntryError("there is no package class", path=path, hint="class Name(Package): …")
    found = classes[-1]
    directives = list(_calls(found.body))
    versions = [_version(call) for call in directives if called_name(call) == "version"]
    return PackageRecipe(
        path=path,
        class_name=found.name,
        bases=tuple(base.id for base in found.bases if isinstance(base, ast.Name)),
        line=found.lineno,
        column=found.col_offset + 1,
        versions=tuple(version for version in versions if version is not None),
        computed=None in versions,
    )


def _calls(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """Directives of a class, also those in ``with``, ``if`` and ``for`` blocks."""
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield statement.value
        elif isinstance(statement, (ast.With, ast.If, ast.For)):
            yield from _calls(statement.body)
            yield from _calls(getattr(statement, "orelse", []))


def _version(call: ast.Call) -> Version | None:
    name = literal(call.args[0]) if call.args else None
    if not isinstance(name, str):
        return None
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    sha256 = literal(keywords.get("sha256"))
    return Version(
        name=name,
        keywords=frozenset(keywords),
        line=call.lineno,
        column=call.col_offset + 1,
        sha256=sha256 if isinstance(sha256, str) else None,
    )
