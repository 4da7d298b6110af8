"""Spack specs, read as far as their text goes: nothing of Spack is asked.

``name@version +variant key=value %compiler ^dependency`` (https://spack.readthedocs.io, "Spec
syntax"), in the forms of Spack 0.21 to 1.1. Where these differ, 0.23 decides, which builds the
images: what stands after ``%compiler`` belongs to the package before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from ci.errors import EntryError
from ci.spack.tokens import check_edge, refused, tokens, unquoted
from ci.spack.versions import ANY, Versions, read_versions

MAX_LENGTH = 4000  # characters of one spec

FLAGS = frozenset({"cflags", "cxxflags", "cppflags", "fflags", "ldflags", "ldlibs"})
_BEGINNING = "it begins with a package's name, in lower case"
ARCHITECTURE = frozenset({"arch", "architecture", "platform", "os", "operating_system", "target"})
Value = bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """One package of a spec, and what is asked of it.

    ``version`` is the text after ``@``, ``versions`` what it allows. ``variants`` holds true and
    false for ``+x`` and ``~x``, else the values of ``x=a,b``; ``propagated`` are those for all
    dependencies (``++x``, ``x==y``). A dependency may have no name (``^/abc``). ``column`` is where
    it begins in the text, from 1.
    """

    name: str
    version: str
    text: str
    namespace: str = ""
    versions: Versions = ANY
    variants: Mapping[str, Value] = field(default_factory=dict, hash=False)
    propagated: frozenset[str] = frozenset()
    flags: Mapping[str, str] = field(default_factory=dict, hash=False)
    architecture: Mapping[str, str] = field(default_factory=dict, hash=False)
    hash: str = ""
    compilers: tuple[Spec, ...] = ()
    dependencies: tuple[Spec, ...] = ()
    column: int = 1

    @property
    def compiler(self) -> Spec | None:
        """The first that ``%`` names."""
        return self.compilers[0] if self.compilers else None

    @property
    def nodes(self) -> tuple[Spec, ...]:
        """This package and those that ``^`` names."""
        return (self, *self.dependencies)


@dataclass(slots=True)
class _Node:
    """A package while it is read."""

    column: int
    name: str = ""
    namespace: str = ""
    version: str = ""
    versions: Versions = ANY
    variants: dict[str, Value] = field(default_factory=dict)
    propagated: set[str] = field(default_factory=set)
    flags: dict[str, str] = field(default_factory=dict)
    architecture: dict[str, str] = field(default_factory=dict)
    hash: str = ""
    compilers: list[_Node] = field(default_factory=list)

    def spec(self, text: str, dependencies: tuple[Spec, ...] = ()) -> Spec:
        return Spec(
            name=self.name,
            namespace=self.namespace,
            version=self.version,
            text=text,
            versions=self.versions,
            variants=MappingProxyType(self.variants),
            propagated=frozenset(self.propagated),
            flags=MappingProxyType(self.flags),
            architecture=MappingProxyType(self.architecture),
            hash=self.hash,
            compilers=tuple(compiler.spec(text) for compiler in self.compilers),
            dependencies=dependencies,
            column=self.column,
        )


@lru_cache(maxsize=1000)  # many steps ask for the same
def parse_spec(text: str) -> Spec:
    """Read a spec. Raises ``EntryError`` without a path, but with the column in the text."""
    if len(text) > MAX_LENGTH:
        message = f"{text[:40]!r}… is not a Spack spec: longer than {MAX_LENGTH} characters"
        raise EntryError(message, column=1, hint="one package in an entry")
    reader = _Reader(text)
    for token in tokens(text):
        reader.take(token)
    return reader.result()


class _Reader:
    """Puts words together: the root, then what ``^`` and ``%`` begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes: list[_Node] = []  # the root, and what ^ began
        self.begun: _Node | None = None  # by ^ or %, and nothing of it was read yet
        self.compiler: _Node | None = None  # was read just now: a version is its own

    def take(self, token: re.Match[str]) -> None:
        """Take the next word in."""
        column = token.start() + 1
        if not self.nodes:
            self._root(token)
        if token["sign"]:
            self._begin(token, column)
        elif token["name"]:
            self._name(token["name"], column)
        elif token["version"]:
            self._version(token["version"], column)
        else:
            self._option(token, column)

    def result(self) -> Spec:
        """The spec, once all is read."""
        self._named()
        if not self.nodes:
            raise refused(self.text, 1, "it names no package", _BEGINNING)
        root, *others = self.nodes
        return root.spec(self.text, tuple(node.spec(self.text) for node in others))

    def _root(self, token: re.Match[str]) -> None:
        column = token.start() + 1
        if not token["name"]:
            wrong = token["key"] and f"a version has an @: {token['key']}@{token['value']}"[:200]
            raise refused(self.text, column, "it names no package", wrong or _BEGINNING)
        self.begun = _Node(column)
        self.nodes.append(self.begun)

    def _begin(self, token: re.Match[str], column: int) -> None:
        self._named()
        check_edge(token, self.text)
        self.begun = _Node(column)
        if token["sign"] == "^":
            self.nodes.append(self.begun)
            self.compiler = None
        else:
            self.nodes[-1].compilers.append(self.begun)
            self.compiler = self.begun

    def _named(self) -> None:
        """What ``^`` or ``%`` began must have been named before the next begins."""
        if self.begun is not None:
            hint = "after ^ and % comes a package's name"
            raise refused(self.text, self.begun.column, "a name is missing", hint)

    def _name(self, name: str, column: int) -> None:
        if self.begun is None:
            raise self._second_name(name, column)
        namespace, _, short = name.rpartition(".")
        if short != short.lower():
            hint = f"names are in lower case: {short.lower()}"
            raise refused(self.text, column, f"{short[:80]!r} cannot be a package's name", hint)
        self.begun.name, self.begun.namespace, self.begun.column = short, namespace, column
        self.begun = None

    def _second_name(self, name: str, column: int) -> EntryError:
        reason, hint = f"{name[:80]!r} is a second package", "one package in an entry"
        if name[0].isdigit():
            before = self.nodes[-1].name or "name"
            reason, hint = f"{name[:80]!r} stands alone", f"a version has an @: {before}@{name}"
        return refused(self.text, column, reason, hint[:200])

    def _version(self, text: str, column: int) -> None:
        node = self._node()
        if self.compiler is not None and not self.compiler.version:
            node = self.compiler
        if node.version:
            raise refused(self.text, column, "a second version", "lists are name@1.2,1.4")
        node.version = "".join(text.split())
        try:
            node.versions = read_versions(node.version)
        except EntryError as error:
            raise refused(self.text, column, error.message, error.hint) from None

    def _node(self) -> _Node:
        """The package that options belong to, which never is a compiler."""
        if self.compiler is not None:
            self._named()
        self.begun = None  # ^+x is a dependency without a name
        return self.nodes[-1]

    def _option(self, token: re.Match[str], column: int) -> None:
        node = self._node()
        self.compiler = None
        if token["hash"]:
            node.hash = token["hash"]
        elif token["switch"]:
            propagated = len(token["switch"]) == 2
            self._variant(node, token["variant"], token["switch"][0] == "+", propagated, column)
        else:
            self._pair(node, token, column)

    def _pair(self, node: _Node, token: re.Match[str], column: int) -> None:
        key, value = token["key"], unquoted(token["value"])
        if key in FLAGS:
            node.flags[key] = f"{node.flags[key]} {value}" if key in node.flags else value
        elif key in ARCHITECTURE:
            if node.architecture.setdefault(key, value) != value:
                raise refused(self.text, column, f"a second {key}", f"one {key}=… of a package")
        else:
            switch = {"true": True, "false": False}.get(value.lower())
            values = tuple(value.split(",")) if switch is None else switch
            self._variant(node, key, values, token["equals"] == "==", column)

    def _variant(self, node: _Node, name: str, value: Value, propagated: bool, column: int) -> None:
        before = node.variants.get(name)
        if isinstance(before, bool) and isinstance(value, bool) and before is not value:
            reason = f"variant {name[:80]} is both on and off"
            raise refused(self.text, column, reason, f"+{name} or ~{name}"[:200])
        if isinstance(before, tuple) and isinstance(value, tuple):
            value = tuple(dict.fromkeys((*before, *value)))
        node.variants[name] = value
        if propagated:
            node.propagated.add(name)
