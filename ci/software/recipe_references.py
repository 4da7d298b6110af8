"""The packages that a Spack recipe may bring in, read with ``ast`` alone.

Taken for a reference is each package's name in the specs of ``depends_on``, ``extends``,
``requires`` and ``conflicts`` and in every ``when``, whatever its condition, the recipes that are
imported, and paths that lead to other packages' folders. What is put together while the recipe
runs is followed as far as it is written out; where a name stays open the reader says so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ci.content.python_source import arguments, dotted, imported_names, names_bound, parse_python
from ci.software.package_recipe import read_package_recipe
from ci.software.recipe_names import DIRECTIVES

_BRING_IN = frozenset({"depends_on", "extends"})
_TAKE_SPECS = _BRING_IN | {"requires", "conflicts", "when", "can_splice"}
_TAKE_WHEN = _TAKE_SPECS | DIRECTIVES | {"default_args"}
_OPEN = "\0"  # stands for text that only a run would give
_MOST = 500  # texts that one expression may stand for
_LONGEST = 20_000  # characters of them together
_DEEPEST = 20  # levels of an expression that are followed
# Where a name begins in a spec: at its start, after ^ or %, and after the attributes of an edge.
_NAME = re.compile(r"(?:^|[\^%\]])\s*([A-Za-z0-9_\0][A-Za-z0-9_.\0-]*)", re.ASCII)
_ELSEWHERE = re.compile(r"\.\./([A-Za-z0-9_][A-Za-z0-9_.-]*)/", re.ASCII)
_FORMAT_FIELD = re.compile(r"\{[^{}]*\}")
_PERCENT_FIELD = re.compile(r"%(\([^()]*\))?[0-9.+#-]*[srdif]")


@dataclass(frozen=True, slots=True)
class RecipeReferences:
    """What a recipe refers to.

    ``names`` are as ``package_key`` gives them; ``is_open``: there are names that cannot be read.
    ``may_provide``: the package may stand in for a virtual one, or takes its class from a recipe
    that may.
    """

    names: frozenset[str]
    is_open: bool
    may_provide: bool


def package_key(name: str) -> str:
    """A package's name in the form in which folder, import and spec of it are the same.

    Since Spack 1.0 folders are names of Python (``py_numpy``, ``_7zip``).
    """
    return name.rpartition(".")[2].replace("_", "-").strip("-").lower()


def read_references(data: bytes, path: str) -> RecipeReferences:
    """Read them out of a ``package.py``. Raises ``EntryError``: it cannot be read at all."""
    module = parse_python(data, path)
    recipe = read_package_recipe(data, path)
    reader = _Reader(module)
    names = set(reader.specs())
    names.update(_imported(module))
    names.update(_elsewhere(module))
    return RecipeReferences(
        names=frozenset(filter(None, map(package_key, names))),
        is_open=reader.is_open,
        may_provide=recipe.inherits or any(map(_is_provides, reader.nodes)),
    )


def _imported(module: ast.Module) -> Iterator[str]:
    """Each part of what is imported: one of them may be a package."""
    inner = [n for n in ast.walk(module) if isinstance(n, (ast.Import, ast.ImportFrom))]
    for full in imported_names(list(inner)).values():
        yield from full.strip("*.").split(".")
    for node in inner:
        for alias in node.names if isinstance(node, ast.Import) else ():
            yield from alias.name.split(".")


def _elsewhere(module: ast.Module) -> Iterator[str]:
    """The folders beside its own that texts of a recipe lead to, such as those of patches."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _ELSEWHERE.findall(node.value)


def _is_provides(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "provides") or (
        isinstance(node, ast.Attribute) and node.attr == "provides"
    )


class _Reader:
    """Finds directives, and the texts that their specs may be."""

    def __init__(self, module: ast.Module) -> None:
        self.is_open = False
        self.nodes = list(ast.walk(module))
        self._bound = _bindings(self.nodes)
        self._known: dict[str, list[str]] = {}  # what names stand for, as far as it was asked

    def specs(self) -> Iterator[str]:
        """The names in all specs."""
        called = set()
        for node in self.nodes:
            if isinstance(node, ast.Call):
                called.add(id(node.func))
                for given, brings_in in _specs_of(node):
                    yield from self._names(given, brings_in)
        for node in self.nodes:  # a directive under another name
            if isinstance(node, ast.Name) and node.id in _BRING_IN and id(node) not in called:
                self.is_open = True

    def _names(self, given: ast.expr, brings_in: bool) -> Iterator[str]:
        for text in self._texts(given, 0):
            for name in _NAME.findall(text.strip()):
                if _OPEN not in name:
                    yield name
                elif brings_in:
                    self.is_open = True

    def _texts(self, node: ast.expr, depth: int) -> list[str]:
        """The texts that an expression may stand for, with ``_OPEN`` for what is not known."""
        if depth > _DEEPEST:
            return [_OPEN]
        found = self._value(node, depth + 1)
        return found if _is_small(found) else [_OPEN]

    def _value(self, node: ast.expr, depth: int) -> list[str]:
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.Name):
            return self._name(node.id, depth)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        parts = _parts(node)
        if parts is not None:
            return [text for item in parts for text in self._texts(item, depth)]
        return self._joined(node, depth)

    def _name(self, name: str, depth: int) -> list[str]:
        if name not in self._known:
            self._known[name] = [_OPEN]  # where it is in its own value
            values = self._bound.get(name, [ast.Name(_OPEN)] if name != _OPEN else [])
            found = [text for value in values for text in self._texts(value, depth)]
            self._known[name] = found if values and _is_small(found) else [_OPEN]
        return self._known[name]

    def _called(self, node: ast.Call, depth: int) -> list[str]:
        """``"…{0}".format(…)``, and what only goes through the items of something."""
        if isinstance(node.func, ast.Attribute):
            owner = self._texts(node.func.value, depth)
            if node.func.attr == "format":
                return [_FORMAT_FIELD.sub(_OPEN, text) for text in owner]
            if node.func.attr in {"items", "keys", "values"} and not node.args:
                return owner
        return [_OPEN]

    def _joined(self, node: ast.expr, depth: int) -> list[str]:
        """Texts that are put together: ``f"…"``, ``+`` and ``%``."""
        if isinstance(node, ast.JoinedStr):
            return self._product(node.values, depth)
        if isinstance(node, ast.FormattedValue):
            return self._texts(node.value, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._product([node.left, node.right], depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            return [_PERCENT_FIELD.sub(_OPEN, t) for t in self._texts(node.left, depth)]
        return [_OPEN]

    def _product(self, parts: list[ast.expr], depth: int) -> list[str]:
        found = [""]
        for part in parts:
            texts = self._texts(part, depth) or [_OPEN]
            if len(found) * len(texts) > _MOST:
                return [_OPEN]
            found = [before + text for before in found for text in texts]
            if not _is_small(found):
                return [_OPEN]
        return found


def _is_small(texts: list[str]) -> bool:
    return len(texts) <= _MOST and sum(map(len, texts)) <= _LONGEST


def _parts(node: ast.expr) -> list[ast.expr] | None:
    """The expressions that one of is meant; of a dictionary keys, which loops take, and values."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts
    if isinstance(node, ast.Dict):
        return [item for item in (*node.keys, *node.values) if item is not None]
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else None


def _specs_of(call: ast.Call) -> Iterator[tuple[ast.expr, bool]]:
    """The arguments that are specs, and whether a package is brought in by them.

    Conditions bring nothing in: that the package is there decides whether they hold.
    """
    name = dotted(call.func).rpartition(".")[2]
    brings_in = name in _BRING_IN
    if name in _TAKE_SPECS:
        given = call.args[: None if name in {"requires", "can_splice"} else 1]
        given += [keyword.value for keyword in call.keywords if keyword.arg in {"spec", None}]
        for argument in given:
            yield argument.value if isinstance(argument, ast.Starred) else argument, brings_in
    if name in _TAKE_WHEN and "when" in arguments(call):
        yield arguments(call)["when"], False


def _bindings(nodes: list[ast.AST]) -> Mapping[str, list[ast.expr]]:
    """What names stand for anywhere in the file; a loop's variable, for all it goes through."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            targets, value = [node.target], node.value
        elif isinstance(node, (ast.For, ast.comprehension)):
            targets, value = [node.target], node.iter
        elif isinstance(node, ast.arg):
            targets, value = [ast.Name(node.arg)], ast.Name(_OPEN)
        for name in {name for target in targets for name in names_bound(target)}:
            found.setdefault(name, []).append(value if value is not None else ast.Name(_OPEN))
    return found
