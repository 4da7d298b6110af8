"""EasyBuild's easyconfigs, screened with ``ast``: reading one with EasyBuild would execute it.

Allowed are assignments of literals, of names, and of ``+``, ``%`` and subscripts of these
(https://docs.easybuild.io, "Writing easyconfig files"); everything that could act is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from ci.errors import EntryError
from ci.python_source import literal, parse_python

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
    ast.ListComp,
    ast.comprehension,
    ast.Store,
)


@dataclass(frozen=True, slots=True)
class Easyconfig:
    """Its name and version (empty where they are not literals) and the parameters it sets."""

    path: str
    name: str
    version: str
    parameters: Mapping[str, int]  # and the line of each


def read_easyconfig(data: bytes, path: str) -> Easyconfig:
    """Screen an easyconfig. Raises ``EntryError`` at what is not plain data."""
    parameters: dict[str, int] = {}
    texts: dict[str, str] = {}
    for statement in parse_python(data, path).body:
        if isinstance(statement, ast.Expr) and isinstance(literal(statement.value), str):
            continue  # a text that stands alone is a comment
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise _refused(statement, path)
        target = statement.targets[0]
        if not isinstance(target, ast.Name):
            raise _refused(target, path)
        for node in ast.walk(statement.value):
            if not isinstance(node, _ALLOWED) or (
                isinstance(node, ast.Name) and node.id.startswith("__")
            ):
                raise _refused(node if hasattr(node, "lineno") else statement, path)
        parameters[target.id] = statement.lineno
        value = literal(statement.value)
        texts[target.id] = value if isinstance(value, str) else ""
    return Easyconfig(path, texts.get("name", ""), texts.get("version", ""), parameters)


def _refused(node: ast.AST, path: str) -> EntryError:
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
    return EntryError(
        "an easyconfig is plain assignments here: no calls, imports, functions or classes",
        path=path,
        line=line,
        column=column,
        hint="write the value out, or use EasyBuild's templates such as %(version)s",
    )
