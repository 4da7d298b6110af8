"""Where types come from: packages that we ship, files of the registry, the topology's own.

The packages of ``ci/tosca/types`` are written from the documented properties of the public ones;
a topology imports them as ``<package>:<version>``. Their versions are not compared: what they
have in common is what we know.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from ci.documents import load
from ci.located import Located
from ci.tosca.model import Import, Topology
from ci.tosca.type_library import SECTIONS, Library

_SUFFIX = ".yaml"
_PACKAGE = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*):([A-Za-z0-9_.+-]+)", re.ASCII)


@cache
def documents() -> Mapping[str, Located]:
    """The documents of the packages that we ship, by name."""
    folder = files("ci.tosca") / "types"
    return {
        file.name.removesuffix(_SUFFIX): load(file.read_bytes(), f"types/{file.name}")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(_SUFFIX)
    }


@cache
def shipped() -> Library:
    """The library of the packages that we ship."""
    return Library().extended(documents().values())


@cache
def packages() -> frozenset[str]:
    """The names of the packages that we ship."""
    names = (file.name for file in (files("ci.tosca") / "types").iterdir())
    return frozenset(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


@cache
def package_of(node_type: str) -> str:
    """The package that we ship a node type in; empty if we do not."""
    definition = shipped().definition("node_types", node_type)
    return "" if definition is None else posixpath.basename(definition.path).removesuffix(_SUFFIX)


@cache
def with_imports(package: str) -> frozenset[str]:
    """A package that we ship, and those that it imports, however indirectly."""
    document = documents().get(package)
    if document is None:
        return frozenset({package})
    listed = document.mapping(package).get("imports", Located(None)).sequence("imports")
    names = {item.text.partition(":")[0] for item in listed}
    return frozenset({package}).union(*(with_imports(name) for name in names))


def package_import(text: str) -> tuple[str, str] | None:
    """Name and version of ``<name>:<version>``; None if it has another form."""
    found = _PACKAGE.fullmatch(text)
    return (found[1], found[2]) if found else None


def file_import(given: Import, path: str) -> str:
    """The path in the registry of a file that a document imports; empty if it cannot be one."""
    text = given.text
    if "://" in text or text.startswith("/") or "\0" in text or not text:
        return ""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    return "" if found.startswith("..") else found


def has_own_types(document: Located) -> bool:
    """Whether a document defines types."""
    return document.is_mapping and any(section in document.value for section in SECTIONS)


def library_of(topology: Topology) -> Library:
    """The types that a topology may use: what we ship, what it imports, what its file defines."""
    return topology.kept("library", lambda: _library_of(topology))


def _library_of(topology: Topology) -> Library:
    more = list(_documents_of(topology))
    return shipped().extended(more) if more else shipped()


def _documents_of(topology: Topology) -> Iterator[Located]:
    yield from topology.types
    if has_own_types(topology.document):
        yield topology.document
