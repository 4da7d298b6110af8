"""EasyBuild's easyconfigs, screened with ``ast``: reading one with EasyBuild would execute it.

Allowed are assignments of literals, of names, of ``+``, ``%`` and subscripts of these, of methods
of texts that make other texts, and ``if`` around them (https://docs.easybuild.io, "Writing
easyconfig files"); everything that could act is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.content.python_source import at, literal, parse_python
from ci.errors import EntryError
from ci.located import Located

_ALLOWED = (
    ast.Constant,
    ast.Name,
    ast.Load,
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.Set,
    ast.BinOp,
    ast.Add,
    ast.Mod,
    ast.UnaryOp,
    ast.USub,
    ast.Not,
    ast.Subscript,
    ast.Slice,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.In,
    ast.NotIn,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.IfExp,
    ast.ListComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.comprehension,
    ast.Store,
)
_METHODS = frozenset(
    [
        *("join", "split", "replace", "format", "get"),
        *("lower", "upper", "capitalize", "title", "strip", "lstrip", "rstrip"),
    ]
)
_DEEPEST = 40  # levels of lists in lists that anybody looks at


class Constant(str):
    """A name that EasyBuild knows, such as ``SYSTEM`` or ``SOURCE_TAR_GZ``."""

    __slots__ = ()


UNKNOWN = Constant("")  # a value that only EasyBuild can compute


@dataclass(frozen=True, slots=True)
class Easyconfig:
    """The parameters that it sets, each with its place and, as far as it is plain, its value.

    In values, what is computed is ``UNKNOWN`` and names of EasyBuild are ``Constant``.
    """

    path: str
    parameters: Mapping[str, Located]
    items: Mapping[str, tuple[Located, ...]] = field(
        default_factory=dict
    )  # of those that are lists

    @property
    def name(self) -> str:
        """The name, empty if it is computed."""
        return self.text("name")

    @property
    def version(self) -> str:
        """The version, empty if it is computed."""
        return self.text("version")

    def text(self, parameter: str) -> str:
        """A parameter that is text; empty if it is not there or computed."""
        found = self.parameters.get(parameter)
        value = found.value if found is not None else ""
        return value if isinstance(value, str) and not isinstance(value, Constant) else ""


def read_easyconfig(data: bytes, path: str) -> Easyconfig:
    """Screen an easyconfig. Raises ``EntryError`` at what is not plain data."""
    parameters: dict[str, Located] = {}
    items: dict[str, tuple[Located, ...]] = {}
    known: dict[str, Any] = {}  # the values so far
    for statement, choice in _assignments(parse_python(data, path).body, path):
        value = statement.value
        for name in _names(statement, path):
            certain = isinstance(statement, ast.Assign) and not choice
            items.pop(name, None)
            if certain and isinstance(value, ast.List):
                items[name] = tuple(at(item, path, _value(item, known)) for item in value.elts)
            known[name] = _value(value, known) if certain else UNKNOWN
            parameters[name] = at(statement, path, known[name])
    return Easyconfig(path, parameters, items)


def _assignments(
    body: list[ast.stmt], path: str, choice: bool = False
) -> Iterator[tuple[ast.Assign | ast.AugAssign, bool]]:
    """The assignments of a body, screened, and whether they depend on an ``if``."""
    for statement in body:
        if isinstance(statement, ast.Pass):
            continue
        if isinstance(statement, ast.Expr) and isinstance(literal(statement.value), str):
            continue  # a text that stands alone is a comment
        if isinstance(statement, ast.If):
            _screen(statement.test, path)
            yield from _assignments([*statement.body, *statement.orelse], path, True)
        elif isinstance(statement, ast.Assign) or (
            isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)
        ):
            _screen(statement.value, path)
            yield statement, choice
        else:
            raise _refused(statement, path)


def _names(statement: ast.Assign | ast.AugAssign, path: str) -> Iterator[str]:
    """The names that an assignment sets, if it sets nothing else."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        if not isinstance(target, ast.Name):
            raise _refused(target, path)
        yield target.id


def _screen(value: ast.expr, path: str) -> None:
    waiting: list[ast.AST] = [value]
    place: ast.AST = value
    while waiting:
        node = waiting.pop()
        place = node if hasattr(node, "lineno") else place
        method = _method(node)
        if isinstance(node, ast.Call) and method is not None:
            waiting += [method.value, *node.args, *(word.value for word in node.keywords)]
            continue
        dunder = isinstance(node, ast.Name) and node.id.startswith("__")
        if dunder or not isinstance(node, _ALLOWED):
            raise _refused(place, path)
        waiting += ast.iter_child_nodes(node)


def _method(node: ast.AST) -> ast.Attribute | None:
    """The method of a text that is called, if it is one of those that make another text."""
    found = node.func if isinstance(node, ast.Call) else None
    return found if isinstance(found, ast.Attribute) and found.attr in _METHODS else None


def _value(node: ast.expr | None, known: Mapping[str, Any], depth: int = 0) -> Any:
    """The plain value of an expression as far as it is written out."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id, Constant(node.id))
    if depth > _DEEPEST:
        return UNKNOWN
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(item, known, depth + 1) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        texts = ((literal(key), value) for key, value in pairs)
        return {key: _value(value, known, depth + 1) for key, value in texts if key is not None}
    return UNKNOWN


def _refused(node: ast.AST, path: str) -> EntryError:
    return at(node, path).error(
        "an easyconfig is plain assignments here: no calls, imports, functions or classes",
        hint="write the value out, or use EasyBuild's templates such as %(version)s",
    )
