"""Python files of a registry, parsed and never run: recipes and easyconfigs."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from ci.documents import decode
from ci.errors import EntryError
from ci.located import Located

MAX_SOURCE = 320 * 1024  # bytes; the largest public easyconfig has less than 250,000
MAX_BLOCKS = 120  # inside each other; nesting of expressions is bounded by Python's own parser


def parse_python(data: bytes, path: str) -> ast.Module:
    """The syntax tree of a file. Raises ``EntryError`` with the place."""
    if len(data) > MAX_SOURCE:
        raise EntryError(f"larger than {MAX_SOURCE} bytes", path=path)
    text = decode(data, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, which is for its author
            module = ast.parse(text)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        message = f"not Python: {error.msg}"
        raise EntryError(message, path=path, line=line, column=column) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise EntryError(f"not Python: {error or 'nested too deeply'}", path=path) from None
    _check_depth(module, path)
    return module


def _check_depth(module: ast.Module, path: str) -> None:
    """Indentation is bounded by Python, but each ``elif`` is a block inside the one before."""
    waiting: list[tuple[ast.stmt, int]] = [(statement, 1) for statement in module.body]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_BLOCKS:
            raise at(node, path).error(f"more than {MAX_BLOCKS} blocks inside each other")
        for name in ("body", "orelse", "finalbody"):
            waiting += [(inner, depth + 1) for inner in getattr(node, name, ())]
        for handler in getattr(node, "handlers", ()):
            waiting += [(inner, depth + 1) for inner in handler.body]


def literal(node: ast.expr | None) -> object:
    """The value of a constant (text, number, true/false); None for everything else."""
    return node.value if isinstance(node, ast.Constant) else None


def text_of(node: ast.expr | None) -> str | None:
    """The value of a constant text; None for everything else."""
    value = literal(node)
    return value if isinstance(value, str) else None


def called_name(node: ast.expr) -> str:
    """The name of a plain call, such as ``version`` in ``version("1.0")``."""
    inside = node.func if isinstance(node, ast.Call) else None
    return inside.id if isinstance(inside, ast.Name) else ""


def dotted(node: ast.expr) -> str:
    """A name with its attributes, such as ``os.path.join``; empty if it is something else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def at(node: ast.AST, path: str, value: object = None) -> Located:
    """The place of a node, and a value there."""
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
    return Located(value, path, line, column, value if isinstance(value, str) else "")


def arguments(call: ast.Call) -> dict[str, ast.expr]:
    """The keyword arguments of a call by name."""
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def names_bound(target: ast.expr) -> Iterator[str]:
    """The names that an assignment to this target binds."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id


def imported_names(body: list[ast.stmt]) -> dict[str, str]:
    """What the imports of a body bind: each name, and the full name that it stands for.

    Those in ``try`` and ``if`` count too; of ``from x import *`` the name is ``*x``.
    """
    found: dict[str, str] = {}
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                found[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                star = alias.name == "*"
                found[f"*{module}" if star else alias.asname or alias.name] = (
                    module if star else f"{module}.{alias.name}"
                )
        elif isinstance(node, (ast.If, ast.Try)):
            waiting += node.body + node.orelse
            waiting += [inner for h in getattr(node, "handlers", ()) for inner in h.body]
    return found
