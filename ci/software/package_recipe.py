"""Spack's ``package.py``, read with ``ast`` alone (https://spack.readthedocs.io, Packaging Guide).

Nothing of it is executed, so what is made in a loop or computed is not seen; the recipe says that
there is such a thing, so that nobody judges what is missing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ci.content.python_source import (
    arguments,
    at,
    called_name,
    dotted,
    imported_names,
    literal,
    names_bound,
    parse_python,
    text_of,
)
from ci.errors import EntryError
from ci.located import Located
from ci.software.recipe_code import code_at_import

CHECKSUMS = frozenset(
    {"checksum", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "commit", "revision"}
)
MOVING = frozenset({"branch", "tag", "git", "svn", "hg", "cvs", "submodules", "get_full_repo"})
MOVING_NAMES = frozenset({"develop", "main", "master", "head", "trunk", "stable"})  # as in Spack
_FIXME = re.compile(r"\bFIXME\b")


@dataclass(frozen=True, slots=True)
class Version:
    """A ``version(…)`` directive: its name, its keywords, and their texts where they are written.

    ``choice`` says that it stands in an ``if``, so another of its name may be the other choice.
    """

    name: str
    place: Located
    keywords: frozenset[str]
    texts: dict[str, Located] = field(default_factory=dict)
    choice: bool = False

    @property
    def pinned(self) -> bool:
        """Whether a checksum or a commit fixes what is downloaded."""
        return bool(self.keywords & CHECKSUMS)

    @property
    def moves(self) -> bool:
        """Whether a branch or a tag says what is downloaded."""
        return bool(self.keywords & MOVING) or self.name in MOVING_NAMES


@dataclass(frozen=True, slots=True)
class PackageRecipe:
    """The class of a recipe.

    ``imports`` maps names to what was imported; ``set`` are the names that the class binds and the
    directives that it calls. Computed versions, dependencies and variants are not listed.
    """

    path: str
    place: Located
    class_name: str
    bases: tuple[Located, ...]
    imports: dict[str, str]
    classes: frozenset[str]
    set: frozenset[str]
    versions: tuple[Version, ...] = ()
    computed: bool = False
    dependencies: tuple[Located, ...] = ()
    variants: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    old_import: Located | None = None
    fixmes: tuple[Located, ...] = ()
    at_import: tuple[Located, ...] = ()
    has_code: bool = True

    @property
    def has_sources(self) -> bool:
        """Whether something is downloaded for it: a bundle only names other packages."""
        return self.has_code and all(base.text != "BundlePackage" for base in self.bases)

    @property
    def inherits(self) -> bool:
        """Whether a base is another recipe, which may bring versions and more."""
        return any("." in base.text or base.text in self._others for base in self.bases)

    @property
    def _others(self) -> frozenset[str]:
        named = {n for n, full in self.imports.items() if not full.startswith("spack.package.")}
        return frozenset(named) - _of_build_systems(self.imports) | self.classes


def class_name_of(package: str) -> str:
    """The class that Spack looks for in ``packages/<package>/package.py``.

    Words between ``-`` or ``_`` are capitalised and joined; a first digit gets a ``_`` before it.
    """
    words = [word for word in re.split(r"[-_]+", package) if word]
    name = "".join(word.capitalize() for word in words)
    return f"_{name}" if name[:1].isdigit() else name


def read_package_recipe(data: bytes, path: str) -> PackageRecipe:
    """Read a recipe: the class that is named as its folder demands, else the last one.

    Raises ``EntryError``.
    """
    module = parse_python(data, path)
    found = _package_class(module, class_name_of(path.split("/")[-2]) if "/" in path else "")
    if found is None:
        raise EntryError("there is no package class", path=path, hint="class Name(Package): …")
    calls = list(_calls(found.body))
    versions = [_version(call, path, choice) for call, choice in calls if _is(call, "version")]
    imports = imported_names(module.body)
    bases = (at(base, path, dotted(base)) for base in found.bases if dotted(base))
    return PackageRecipe(
        path=path,
        place=at(found, path),
        class_name=found.name,
        bases=tuple(bases),
        imports=imports,
        classes=frozenset(n.name for n in module.body if isinstance(n, ast.ClassDef)),
        set=frozenset(_names(found.body)) | {called_name(call) for call, _ in calls},
        versions=tuple(version for version in versions if version is not None),
        computed=None in versions,
        dependencies=tuple(_first_texts(calls, path, "depends_on", "extends")),
        variants=tuple(each.text for each in _first_texts(calls, path, "variant")),
        provides=tuple(each.text for each in _first_texts(calls, path, "provides")),
        old_import=_old_import(module, path),
        fixmes=tuple(_fixmes(data.decode("utf-8", "replace"), path)),
        at_import=code_at_import(module, path),
        has_code=not _says_no(found.body, "has_code"),
    )


def _package_class(module: ast.Module, wanted: str) -> ast.ClassDef | None:
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.bases]
    named = [node for node in classes if node.name == wanted]
    return next(reversed(named or classes), None)


def _of_build_systems(imports: dict[str, str]) -> frozenset[str]:
    """Names of build systems as Spack 1.0 has them imported."""
    return frozenset(n for n, full in imports.items() if ".build_systems." in full)


def _is(call: ast.Call, *names: str) -> bool:
    return called_name(call) in names


def _calls(body: list[ast.stmt], choice: bool = False) -> Iterator[tuple[ast.Call, bool]]:
    """Directives of a class, also those in blocks, and whether they stand in an ``if``."""
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield statement.value, choice
        elif isinstance(statement, (ast.With, ast.If, ast.For)):
            either = choice or isinstance(statement, ast.If)
            yield from _calls(statement.body, either)
            yield from _calls(getattr(statement, "orelse", []), either)


def _names(body: list[ast.stmt]) -> Iterator[str]:
    """Names that a class body binds: attributes and functions, also those in ``if`` blocks."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            yield from (name for target in statement.targets for name in names_bound(target))
        elif isinstance(statement, ast.AnnAssign):
            yield from names_bound(statement.target)
        elif isinstance(statement, (ast.If, ast.For, ast.With)):
            yield from _names([*statement.body, *getattr(statement, "orelse", [])])


def _says_no(body: list[ast.stmt], name: str) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and literal(node.value) is False
        and name in names_bound(node.targets[0])
        for node in body
    )


def _first_texts(calls: list[tuple[ast.Call, bool]], path: str, *names: str) -> Iterator[Located]:
    """First arguments of these directives that are written out, alone or in a list."""
    for call, _ in calls:
        if _is(call, *names) and call.args:
            first = call.args[0]
            given = first.elts if isinstance(first, (ast.List, ast.Tuple)) else [first]
            texts = ((node, text_of(node)) for node in given)
            yield from (at(node, path, text) for node, text in texts if text is not None)


def _version(call: ast.Call, path: str, choice: bool) -> Version | None:
    name = literal(call.args[0]) if call.args else None
    given = arguments(call)
    if len(call.args) > 1:
        given["checksum"] = call.args[1]
    if not isinstance(name, str) or len(given) < len(call.keywords):
        return None  # computed, or ``**keywords``
    texts = {key: at(node, path, text_of(node)) for key, node in given.items() if text_of(node)}
    texts |= {key: at(node, path, "") for key, node in given.items() if text_of(node) == ""}
    return Version(name, at(call, path, name), frozenset(given), texts, choice)


def _old_import(module: ast.Module, path: str) -> Located | None:
    imports = (node for node in module.body if isinstance(node, ast.ImportFrom) and not node.level)
    for node in imports:
        if node.module == "spack" and any(alias.name == "*" for alias in node.names):
            return at(node, path)
    return None


def _fixmes(text: str, path: str) -> Iterator[Located]:
    for number, line in enumerate(text.split("\n"), 1):
        if found := _FIXME.search(line):
            yield Located(None, path, number, found.start() + 1)
